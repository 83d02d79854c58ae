// Many writers on few sessions, and the record of what each of them was told.
//
// A slot is a browser and its session: `line` names the session's data, which a new id takes along; `sid` is the id now.
// Each write of a field writes a value that is written once. A call with a request id is repeated with it until the answer
// is known.
import { setTimeout as sleep } from 'node:timers/promises';

import { request } from '../e2e/support/http.mjs';
import { Peer } from '../e2e/support/peer.mjs';
import { reference } from '../e2e/support/system.mjs';
import { ABSENT, checkEnds, checkNames, checkOnce, checkRegister, checkSnapshot } from './check.mjs';

const FIELDS = ['f0', 'f1', 'f2', 'f3'];
const NAMES = 5;
const NAME_ERA_MS = 5000;
const SETTLE_MS = 25_000;  // request ids are good for 60 s
const SOCKET_MS = 3000;
const ENOUGH = 200;      // acknowledged writes, below which a run proves nothing
const LOOKED_AT = 1000;  // ended sessions that are asked for at the end; all are looked for in Redis
const NAMESPACE = '/history';

// A small generator of its own for each writer, so that one's luck does not hang on another's pace.
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return (n) => Math.floor(next() * n);
}

const SNAPSHOT = `
local out = {{}, {}}
for _, key in ipairs(redis.call('KEYS', 'sess:*')) do
  out[1][#out[1] + 1] = {string.sub(key, 6), redis.call('GET', key)}
end
for _, key in ipairs(redis.call('KEYS', 'sesior:claim:{userName:*')) do
  out[2][#out[2] + 1] = {string.sub(key, 24, -2), redis.call('GET', key)}
end
return out`;

export class Load {
  counts = {};
  #world;
  #seed;
  #writers = 0;
  #values = 0;
  #lines = 0;
  #stopping = false;
  #slots = [];
  #fields = new Map();  // "line.field" -> operations
  #ends = [];
  #uses = [];
  #claims = [];
  #releases = [];
  #seen = [];
  #cookies = new Map();  // of every session id there was
  #over = new Map();     // session id -> when its end was acknowledged
  #wrong = [];
  #said = new Set();
  #steps = new Map();  // what each loop does

  constructor(world, seed) {
    this.#world = world;
    this.#seed = seed;
  }

  // Runs for so long, then looks at everything once more, and returns what is wrong.
  async run(seconds, { slots = 3, kill = true } = {}) {
    const loops = [];
    const loop = (step) => loops.push(this.#loop(step));
    for (let i = 0; i < slots; ++i) {
      const slot = { line: null };
      await this.#open(slot, this.#random());
      this.#slots.push(slot);
      loop((random) => this.#patch(slot, random));
      loop((random) => this.#patch(slot, random));
      loop((random) => this.#read(slot, random));
      loop((random) => this.#rename(slot, random));
      loop((random) => this.#renameBySocket(slot, random));
      loop((random) => this.#end(slot, random));
      if (!reference) {
        loop((random) => this.#update(slot, random));
        loop((random) => this.#renameByRpc(slot, random));
      }
    }
    const relay = { line: null };
    loop((random) => this.#takeTurns(relay, random));
    loop(() => this.#look());
    for (const rpc of this.#world.rpcs) {
      loop(() => Promise.race([this.#stopped(), rpc.subscribe(NAMESPACE, ({ epoch, offset, broadcast }) => {
        this.#count('announcements seen');
        this.#seen.push({ id: JSON.parse(broadcast.packet.args_json)[0], position: `${epoch} ${offset}` });
      })]));
    }
    if (kill) {
      loop(async (random) => {
        await this.#pause(500 + random(2000));
        if (this.#stopping) return;
        const { kinds } = this.#world;
        await this.#world.kill(kinds[random(kinds.length)], random);
      });
    }
    const ended = Promise.all(loops);
    const time = async () => {
      await sleep(seconds * 1000);
      // On a slow machine it takes longer to prove anything.
      for (let more = 0; this.acknowledged < ENOUGH && more < 3 * seconds; ++more) await sleep(1000);
    };
    await Promise.race([time(), ended]);  // the loops end early only by failing
    this.#stopping = true;
    this.#wake();
    const late = sleep(3 * SETTLE_MS).then(() => Promise.reject(new Error(`still under way: ${[...this.#steps.values()].join(', ')}`)));
    await Promise.race([ended, late]);
    await this.#lookAtAll();
    return this.#judge();
  }

  get acknowledged() {
    return (this.counts['PATCH /session ok'] ?? 0) + (this.counts['UpdateSession ok'] ?? 0);
  }

  get proves() {
    return this.acknowledged >= ENOUGH;
  }

  // --- The writers ---------------------------------------------------------------------------------------------------

  #patch(slot, random) {
    const patch = this.#newValues(random);
    return this.#write(slot, 'PATCH /session', patch, async ({ cookie }) => {
      const answer = await this.#rest('PATCH', '/session', cookie, patch);
      return { outcome: outcomeOf(answer), data: answer.json };
    });
  }

  // With a broadcast in the same step; and now and then by both replicas at once, under one request id.
  #update(slot, random) {
    const patch = this.#newValues(random);
    const id = this.#newId();
    return this.#write(slot, 'UpdateSession', patch, async ({ sid }) => {
      const call = {
        session: { session_id: sid }, merge_patch_json: JSON.stringify(patch), request_id: id,
        announcement: { broadcast: { namespace: NAMESPACE, packet: { args_json: JSON.stringify([id]) } } },
      };
      const twice = random(6) === 0;
      const answers = await Promise.all([this.#settle('UpdateSession', call, random), ...(twice ? [this.#settle('UpdateSession', call, random)] : [])]);
      const best = answers.find(({ outcome }) => outcome === 'ok') ?? answers.find(({ outcome }) => outcome !== 'fail') ?? answers[0];
      return { outcome: best.outcome, data: best.response && JSON.parse(best.response.session.data_json) };
    });
  }

  async #write(slot, what, patch, send) {
    const { line, sid, cookie } = slot;
    const start = performance.now();
    const { outcome, data } = await send({ sid, cookie });
    const end = performance.now();
    this.#count(`${what} ${outcome}`);
    this.#uses.push({ sid, start, end, outcome, what });
    // "Gone" may be the answer to the second try of a write whose first one was done.
    const known = outcome === 'gone' ? 'unknown' : outcome;
    for (const [field, value] of Object.entries(patch)) this.#field(line, field).push({ kind: 'write', value, start, end, outcome: known, what });
    if (outcome === 'ok') this.#readAll(line, data, start, end, what);
  }

  async #read(slot, random) {
    const { line, sid, cookie } = slot;
    const ways = [['GET /session', () => this.#get(cookie)], ['Express', () => this.#getByExpress(cookie)]];
    for (const rpc of this.#world.rpcs) ways.push(['GetSession', () => this.#getByRpc(rpc, sid)]);
    const [what, get] = ways[random(ways.length)];
    const start = performance.now();
    const { outcome, data } = await get();
    const end = performance.now();
    this.#count(`${what} ${outcome}`);
    this.#uses.push({ sid, start, end, outcome, what });
    if (outcome === 'ok') this.#readAll(line, data, start, end, what);
    await this.#pause(random(30));
  }

  async #rename(slot, random) {
    const { line, sid, cookie } = slot;
    const userName = this.#name(random);
    const start = performance.now();
    const answer = await this.#rest('POST', '/register', cookie, { userName });
    const end = performance.now();
    let outcome = outcomeOf(answer);
    this.#count(`POST /register ${outcome}`);
    if (outcome === 'ok' && answer.cookie && sidOf(answer.cookie) !== sid) {
      // The session has ended meanwhile: this is another one, which is not needed.
      const other = { line: this.#newLine() };
      this.#take(other, answer.cookie);
      this.#claims.push({ name: userName, owner: other.line, start, end, outcome });
      await this.#destroy(other, random);
      outcome = 'unknown';
    } else {
      this.#uses.push({ sid, start, end, outcome, what: 'POST /register' });
    }
    this.#claims.push({ name: userName, owner: line, start, end, outcome: outcome === 'gone' ? 'unknown' : outcome });
    await this.#pause(random(200));
  }

  async #renameBySocket(slot, random) {
    const { line, sid, cookie } = slot;
    const { realtime } = this.#world.system;
    let peer;
    try {
      peer = await Peer.open(realtime[random(realtime.length)], cookie, { timeout: SOCKET_MS });
    } catch {
      return this.#pause(100);
    }
    for (let i = 0; i < 5 && !peer.disconnected && slot.sid === sid && !this.#stopping; ++i) {
      const userName = this.#name(random);
      const start = performance.now();
      const answer = peer.ask('user:rename', userName, SOCKET_MS);
      const lost = peer.gone(SOCKET_MS + 100).then(() => ['disconnected'], () => ['late']);
      const [error] = await Promise.race([answer.catch(() => ['late']), lost]);
      const end = performance.now();
      const outcome = error === null ? 'ok' : error === 'User already exists' ? 'fail' : 'unknown';
      this.#count(`user:rename ${outcome}`);
      this.#uses.push({ sid, start, end, outcome, what: 'user:rename' });
      this.#claims.push({ name: userName, owner: line, start, end, outcome });
      await this.#pause(random(200));
    }
    peer.close();
  }

  async #renameByRpc(slot, random) {
    const { line, sid } = slot;
    const userName = this.#name(random);
    const start = performance.now();
    const { outcome, response } = await this.#settle('UpdateSession', {
      session: { session_id: sid }, merge_patch_json: '{}', request_id: this.#newId(), claims: [claimOf(userName)],
    }, random);
    const end = performance.now();
    this.#count(`UpdateSession with a claim ${outcome}`);
    this.#uses.push({ sid, start, end, outcome, what: 'UpdateSession with a claim' });
    this.#claims.push({ name: userName, owner: line, start, end, outcome: outcome === 'gone' ? 'unknown' : outcome });
    if (outcome === 'ok') this.#readAll(line, JSON.parse(response.session.data_json), start, end, 'UpdateSession with a claim');
    await this.#pause(random(200));
  }

  // Gives the session a new id, or ends it and begins another.
  async #end(slot, random) {
    await this.#pause(300 + random(1500));
    if (this.#stopping) return;
    if (reference || random(2) === 0) {
      await this.#destroy(slot, random);
      await this.#open(slot, random);
    } else {
      await this.#regenerate(slot, random);
    }
  }

  async #regenerate(slot, random) {
    const { sid } = slot;
    const start = performance.now();
    const record = { sid, start, end: Infinity, outcome: 'unknown' };
    this.#ends.push(record);
    const { outcome, response } = await this.#settle('RegenerateSession', {
      session: { session_id: sid }, keep_data: true, request_id: this.#newId(),
      reason: random(2) === 0 ? 'END_REASON_ROTATION' : 'END_REASON_LOGIN',
    }, random);
    this.#count(`RegenerateSession ${outcome}`);
    if (outcome === 'gone') this.#wrong.push(`RegenerateSession lost session ${sid.slice(0, 6)}: nobody else ended it`);
    if (outcome === 'fail') return void (record.outcome = 'fail');
    if (outcome !== 'ok') return this.#open(slot, random);
    Object.assign(record, { end: performance.now(), outcome: 'ok' });
    this.#over.set(sid, record.end);
    this.#take(slot, response.set_cookie.split(';')[0]);
  }

  async #destroy(slot, random) {
    const { line, sid, cookie } = slot;
    const start = performance.now();
    const record = { sid, owner: line, start, end: Infinity, outcome: 'unknown' };
    this.#ends.push(record);
    this.#releases.push(record);
    const byRest = reference || random(2) === 0;
    for (const until = start + SETTLE_MS; performance.now() < until; await sleep(50)) {
      const done = byRest
        ? (await this.#rest('POST', '/logout', cookie)).status === 204
        : (await this.#settle('DestroySession', { session: { session_id: sid }, request_id: this.#newId() }, random)).outcome === 'ok';
      if (!done) continue;
      Object.assign(record, { end: performance.now(), outcome: 'ok' });
      this.#over.set(sid, record.end);
      break;
    }
    this.#count(`end of a session ${record.outcome}`);
  }

  async #open(slot, random) {
    const line = this.#newLine();
    while (!this.#stopping || slot.line === null) {
      const userName = this.#name(random);
      const start = performance.now();
      let cookie = null;
      if (reference || random(2) === 0) {
        cookie = (await this.#rest('POST', '/register', null, { userName })).cookie ?? null;
      } else {
        const { outcome, response } = await this.#settle('CreateSession', { request_id: this.#newId(), claims: [claimOf(userName)] }, random);
        if (outcome === 'ok') cookie = response.set_cookie.split(';')[0];
      }
      if (cookie !== null) {
        this.#claims.push({ name: userName, owner: line, start, end: performance.now(), outcome: 'ok' });
        slot.line = line;
        this.#take(slot, cookie);
        return this.#count('sessions made');
      }
      await sleep(20);
    }
  }

  // Express saves whole records, so it writes in turn with SESIOR: what either was told is done, the other must keep. A turn
  // with an unknown outcome may still come, and Express would overwrite it: then they go on with another session.
  async #takeTurns(relay, random) {
    const next = () => {
      relay.line = this.#newLine();
      relay.cookie = null;
    };
    if (relay.line === null) next();
    const byExpress = relay.cookie === null || random(2) === 0;
    const patch = { [byExpress ? 'f0' : 'f1']: this.#newId() };
    const start = performance.now();
    const answer = byExpress
      ? await send(this.#world.express.url, 'POST', '/session', relay.cookie, patch)
      : await this.#rest('PATCH', '/session', relay.cookie, patch);
    const end = performance.now();
    const outcome = outcomeOf(answer);
    this.#count(`in turn, ${byExpress ? 'Express' : 'SESIOR'} ${outcome}`);
    for (const [field, value] of Object.entries(patch)) this.#field(relay.line, field).push({ kind: 'write', value, start, end, outcome });
    if (outcome !== 'ok') return next();
    if (answer.cookie) relay.cookie = answer.cookie;
    this.#uses.push({ sid: sidOf(relay.cookie), start, end, outcome, what: 'in turn' });
    this.#readAll(relay.line, answer.json, start, end, 'in turn');
    if (random(200) === 0) next();
    await this.#pause(random(20));
  }

  // --- Looking -------------------------------------------------------------------------------------------------------

  async #look() {
    await this.#pause(40);
    const start = performance.now();
    const ended = new Set([...this.#over].filter(([, at]) => at < start).map(([sid]) => sid));
    let found;
    try {
      found = await this.#world.express.redis.eval(SNAPSHOT);
    } catch {
      return;  // Redis is away
    }
    this.#count('looks into Redis');
    this.#judgeSnapshot(start, found, ended);
  }

  #judgeSnapshot(at, [records, claims], ended) {
    const shown = records.map(([sid, record]) => [sid, JSON.parse(record).userName ?? null]);
    const held = reference ? null : claims.map(([name, claim]) => [name, claim.split(' ')[0]]);
    for (const text of checkSnapshot(at, { records: shown, claims: held, ended })) {
      // Said once, not with every look until it passes.
      const what = text.replace(/^at \d+: /, '');
      if (!this.#said.has(what)) this.#wrong.push(text);
      this.#said.add(what);
    }
  }

  // When everything is well again: every session by every way, every id that has ended, and Redis itself.
  async #lookAtAll() {
    const settled = async (what, get) => {
      for (const until = performance.now() + SETTLE_MS; ; await sleep(100)) {
        const answer = await get();
        if (answer.outcome !== 'unknown') return answer;
        if (performance.now() > until) throw new Error(`the system did not recover: no answer to ${what}`);
      }
    };
    const ways = (cookie, sid) => [
      ['GET /session', () => this.#get(cookie)], ['Express', () => this.#getByExpress(cookie)],
      ...this.#world.rpcs.map((rpc) => ['GetSession', () => this.#getByRpc(rpc, sid)]),
    ];
    for (const { line, sid, cookie } of this.#slots) {
      for (const [what, get] of ways(cookie, sid)) {
        const start = performance.now();
        const { outcome, data } = await settled(what, get);
        this.#uses.push({ sid, start, end: performance.now(), outcome, what: `${what}, at the end` });
        if (outcome === 'ok') this.#readAll(line, data, start, performance.now(), `${what}, at the end`);
      }
    }
    const ended = [...this.#over.keys()].slice(-LOOKED_AT);
    while (ended.length > 0) {
      const asked = ended.splice(0, 20).flatMap((sid) => ways(this.#cookies.get(sid), sid).map((way) => [sid, ...way]));
      await Promise.all(asked.map(async ([sid, what, get]) => {
        const start = performance.now();
        const { outcome } = await settled(what, get);
        this.#uses.push({ sid, start, end: performance.now(), outcome, what: `${what}, at the end` });
      }));
    }
    this.#judgeSnapshot(performance.now(), await this.#world.express.redis.eval(SNAPSHOT), new Set(this.#over.keys()));
  }

  #judge() {
    let operations = 0;
    for (const [name, list] of this.#fields) {
      operations += list.length;
      this.#wrong.push(...checkRegister(name, list));
    }
    this.counts['operations judged'] = operations;
    this.#wrong.push(...checkEnds(this.#ends, this.#uses), ...checkNames(this.#claims, this.#releases), ...checkOnce(this.#seen));
    return this.#wrong;
  }

  // --- Small parts ---------------------------------------------------------------------------------------------------

  #wake;
  #whenStopped = new Promise((resolve) => (this.#wake = resolve));
  #stopped() {
    return this.#whenStopped;
  }

  async #loop(step) {
    const random = this.#random();
    this.#steps.set(random, step);
    while (!this.#stopping) await step(random);
    this.#steps.delete(random);
  }

  #random() {
    return randomFrom(this.#seed * 1000 + this.#writers++);
  }

  #pause(ms) {
    return Promise.race([sleep(ms), this.#whenStopped]);
  }

  #count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #newId() {
    return `v${++this.#values}`;
  }

  #newLine() {
    return `session ${++this.#lines}`;
  }

  #newValues(random) {
    const patch = { [FIELDS[random(FIELDS.length)]]: this.#newId() };
    if (random(2) === 0) patch[FIELDS[random(FIELDS.length)]] = this.#newId();
    return patch;
  }

  // A few names that everybody wants; others after a while, since a session whose making has an unknown outcome keeps its own.
  #name(random) {
    return `name ${Math.floor(performance.now() / NAME_ERA_MS)}-${random(NAMES)}`;
  }

  #take(slot, cookie) {
    slot.cookie = cookie;
    slot.sid = sidOf(cookie);
    this.#cookies.set(slot.sid, cookie);
  }

  #field(line, field) {
    const name = `${line}.${field}`;
    if (!this.#fields.has(name)) this.#fields.set(name, []);
    return this.#fields.get(name);
  }

  #readAll(line, data, start, end, what) {
    for (const field of FIELDS) this.#field(line, field).push({ kind: 'read', value: data[field] ?? ABSENT, start, end, outcome: 'ok', what });
  }

  #rest(method, path, cookie, json) {
    return send(this.#world.system.rest, method, path, cookie, json);
  }

  async #get(cookie) {
    const answer = await this.#rest('GET', '/session', cookie);
    return { outcome: outcomeOf(answer), data: answer.json };
  }

  // Express shows a session of nobody as an empty one; all of ours hold something.
  async #getByExpress(cookie) {
    const answer = await send(this.#world.express.url, 'GET', '/session', cookie);
    const outcome = outcomeOf(answer);
    return { outcome: outcome === 'ok' && Object.keys(answer.json).length === 0 ? 'gone' : outcome, data: answer.json };
  }

  async #getByRpc(rpc, sid) {
    try {
      const { session } = await rpc.call('GetSession', { session: { session_id: sid } }, 2000);
      return { outcome: 'ok', data: JSON.parse(session.data_json) };
    } catch (error) {
      return { outcome: error.code === 'NOT_FOUND' ? 'gone' : 'unknown' };
    }
  }

  // Repeats the call, with its request id, until somebody answers.
  async #settle(method, call, random) {
    const { rpcs } = this.#world;
    for (const until = performance.now() + SETTLE_MS; ; await sleep(20)) {
      try {
        return { outcome: 'ok', response: await rpcs[random(rpcs.length)].call(method, call, 2000) };
      } catch (error) {
        if (error.code === 'NOT_FOUND') return { outcome: 'gone' };
        if (['ABORTED', 'ALREADY_EXISTS'].includes(error.code)) return { outcome: 'fail' };
        if (['INVALID_ARGUMENT', 'DATA_LOSS', 'UNIMPLEMENTED', 'UNAUTHENTICATED'].includes(error.code)) throw error;
        if (performance.now() > until) return { outcome: 'unknown' };
      }
    }
  }
}

const claimOf = (value) => ({ namespace: 'userName', value, member: 'userName' });

function sidOf(cookie) {
  const value = decodeURIComponent(cookie.slice('connect.sid='.length));
  return value.slice(2, value.lastIndexOf('.'));
}

// A connection that is refused or lost is an answer too.
const send = (base, method, path, cookie, json) => request(base + path, { method, cookie: cookie ?? undefined, json }).catch(() => ({ status: 0 }));

function outcomeOf({ status }) {
  if (status === 200) return 'ok';
  if (status === 401) return 'gone';
  return status >= 400 && status < 500 ? 'fail' : 'unknown';
}
