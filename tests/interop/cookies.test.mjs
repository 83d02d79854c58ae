// The session cookie: judged by SESIOR as Express judges it, and made byte for byte as Express makes it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SECRET, System } from '../e2e/support/system.mjs';
import { ExpressApp } from './support/express.mjs';
import { raw, socketVerdict } from './support/raw.mjs';
import { SessionRpc } from './support/rpc.mjs';
import { everyByteEncoded, newSid, signed, tellingSid, unusedBitsFlipped } from './support/sign.mjs';

const OLD = 'a retired secret';
const secret = [SECRET, OLD];
const RECORD = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' } };

let system, app, rpc;
before(async () => {
  system = await System.start(['--session', '1', '--realtime', '1', '--cookie-secret', secret.join(',')]);
  app = await ExpressApp.start(system, { secret });
  rpc = new SessionRpc(system.session[0]);
});
after(async () => {
  rpc?.close();
  await app?.stop();
  await system?.stop();
});

const store = (sid, record) => app.redis.set(`sess:${sid}`, typeof record === 'string' ? record : JSON.stringify(record), { expiration: { type: 'EX', value: 86400 } });
const latin1 = (text) => Buffer.from(text).toString('latin1');

// What each of the four doors says to these header lines: 'in' is for a session with this mark.
async function verdicts(lines, mark) {
  const seen = (answer) => (answer.json?.mark === mark ? 'in' : 'out');
  const [express, rest, socket] = await Promise.all([
    raw(app.url, 'GET', '/session', lines),
    raw(system.rest, 'GET', '/session', lines),
    socketVerdict(system.realtime[0], lines),
  ]);
  assert.ok([200, 401].includes(rest.status), `SESIOR answered ${rest.status}`);
  return { express: seen(express), rest: seen(rest), socket: socket === 'Not authorized' ? 'out' : socket };
}

const all = (verdict) => ({ express: verdict, rest: verdict, socket: verdict });
const stricter = { express: 'in', rest: 'out', socket: 'out' };

describe('a cookie is judged as Express judges it', () => {
  let sid, value, encoded, mark;
  before(async () => {
    sid = tellingSid(SECRET);
    value = signed(sid, SECRET);
    encoded = encodeURIComponent(value);
    mark = `mark ${sid}`;
    await store(sid, { ...RECORD, mark });
  });

  const dot = (v) => v.lastIndexOf('.');
  const row = (what, expected, linesOf) =>
    test(`${expected === stricter ? 'out for SESIOR alone' : expected.rest}: ${what}`, async () => {
      const made = linesOf();
      const lines = (Array.isArray(made) ? made : [made]).map((cookies) => `Cookie: ${cookies}`);
      assert.deepEqual(await verdicts(lines, mark), expected);
    });
  const isIn = (what, linesOf) => row(what, all('in'), linesOf);
  const isOut = (what, linesOf) => row(what, all('out'), linesOf);

  isIn('as it was set', () => `connect.sid=${encoded}`);
  isIn('lower-case %3a', () => `connect.sid=${encoded.replaceAll(/%[0-9A-F]{2}/g, (x) => x.toLowerCase())}`);
  isIn('every byte encoded', () => `connect.sid=${everyByteEncoded(value)}`);
  isIn('not encoded at all', () => `connect.sid=${value}`);
  isIn('in double quotes', () => `connect.sid="${encoded}"`);
  isIn('not encoded, in double quotes', () => `connect.sid="${value}"`);
  isIn('blanks and tabs around name and value', () => `a=b; \t connect.sid \t= \t ${encoded} \t ; c=d`);
  isIn('among others, without blanks', () => `a=1;connect.sid=${encoded};b=2`);
  isIn('after a piece that is no pair', () => `nonsense; connect.sid=${encoded}`);
  isIn('two of the name, the first good', () => `connect.sid=${encoded}; connect.sid=bad`);
  isIn('two header lines, the first good', () => [`connect.sid=${encoded}`, 'connect.sid=bad']);
  isIn('two header lines, the cookie in the second', () => ['a=b', `connect.sid=${encoded}`]);
  isIn('one trailing semicolon', () => `connect.sid=${encoded};`);

  isOut('no header', () => []);
  isOut('an empty header', () => '');
  isOut('encoded twice', () => `connect.sid=${encodeURIComponent(encoded)}`);
  isOut('%00 appended', () => `connect.sid=${encoded}%00`);
  isOut('%20 appended', () => `connect.sid=${encoded}%20`);
  isOut('.x appended', () => `connect.sid=${encoded}.x`);
  isOut('a lone % behind it', () => `connect.sid=${encoded}%`);
  isOut('%zz behind it', () => `connect.sid=${encoded}%zz`);
  isOut('%zz before it', () => `connect.sid=%zz${encoded}`);
  isOut('a lone % behind the value that is not encoded', () => `connect.sid=${value}%`);
  isOut('bytes that decode to no UTF-8', () => `connect.sid=${encoded}%ff`);
  isOut('an overlong encoding of the dot', () => `connect.sid=${encoded.slice(0, dot(encoded))}%C0%AE${encoded.slice(dot(encoded) + 1)}`);
  isOut('= padding', () => `connect.sid=${encoded}%3D`);
  isOut('= padding, not encoded', () => `connect.sid=${value}=`);
  isOut('the url-safe alphabet', () => `connect.sid=${encodeURIComponent(value.slice(0, dot(value)) + value.slice(dot(value)).replaceAll('+', '-').replaceAll('/', '_'))}`);
  isOut('one character less', () => `connect.sid=${encodeURIComponent(value.slice(0, -1))}`);
  isOut('one character more', () => `connect.sid=${encodeURIComponent(`${value}A`)}`);
  isOut('no signature', () => `connect.sid=${encodeURIComponent(value.slice(0, dot(value)))}`);
  isOut('an empty signature', () => `connect.sid=${encodeURIComponent(value.slice(0, dot(value) + 1))}`);
  isOut('unused bits of the last character flipped', () => `connect.sid=${encodeURIComponent(unusedBitsFlipped(value))}`);
  isOut('no s:', () => `connect.sid=${encodeURIComponent(value.slice(2))}`);
  isOut('S: in its place', () => `connect.sid=${encodeURIComponent(`S${value.slice(1)}`)}`);
  isOut('a JSON cookie', () => `connect.sid=${encodeURIComponent(`j:${JSON.stringify(value)}`)}`);
  isOut('the bare id', () => `connect.sid=${sid}`);
  isOut('s: and the bare id', () => `connect.sid=s%3A${sid}`);
  isOut('another case of the name', () => `Connect.Sid=${encoded}`);
  isOut('the name encoded', () => `connect%2Esid=${encoded}`);
  isOut('two of the name, the first bad', () => `connect.sid=bad; connect.sid=${encoded}`);
  isOut('two of the name, the first empty', () => `connect.sid=; connect.sid=${encoded}`);
  isOut('two of the name, the first an empty pair of quotes', () => `connect.sid=""; connect.sid=${encoded}`);
  isOut('two header lines, the first bad', () => ['connect.sid=bad', `connect.sid=${encoded}`]);
  isOut('a comma for a semicolon', () => `a=b, connect.sid=${encoded}`);
  isOut('+ as a form writes a blank', () => `connect.sid=${value.replaceAll('+', ' ')}`);
  isOut('one double quote', () => `connect.sid="${encoded}`);
  isOut('single quotes', () => `connect.sid='${encoded}'`);
  isOut('a secret that is not ours', () => `connect.sid=${encodeURIComponent(signed(sid, 'another secret'))}`);
  isOut('a signature of another id', () => `connect.sid=${encodeURIComponent(`s:${sid}.${signed(newSid(), SECRET).split('.').at(-1)}`)}`);
  isOut('a signed empty id', () => `connect.sid=${encodeURIComponent(signed('', SECRET))}`);

  test('431: a header longer than 16 KB', async () => {
    const lines = [`Cookie: pad=${'x'.repeat(17_000)}; connect.sid=${encoded}`];
    assert.equal((await raw(app.url, 'GET', '/session', lines)).status, 431);
    assert.equal((await raw(system.rest, 'GET', '/session', lines)).status, 431);
    assert.equal((await raw(system.realtime[0], 'GET', '/socket.io/?EIO=4&transport=polling', lines)).status, 431);
  });

  describe('and ids that uid-safe does not make', () => {
    const id = (what, expected, exotic, spell = encodeURIComponent) =>
      test(`${expected === stricter ? 'out for SESIOR alone' : expected.rest}: ${what}`, async () => {
        await store(exotic, { ...RECORD, mark: what });
        assert.deepEqual(await verdicts([`Cookie: connect.sid=${latin1(spell(signed(exotic, SECRET)))}`], what), expected);
      });
    id('with dots: the last one counts', all('in'), 'a.b.c');
    id('with a %, sent as it is', all('in'), 'a%b', String);
    id('with every visible character but braces', all('in'), '!"#$%&\'()*+,-./:;<=>?@[\\]^_`|~');
    id('of one character', all('in'), 'x');
    id('of 256 characters', all('in'), 'y'.repeat(256));
    id('of 257 characters', stricter, 'y'.repeat(257));
    id('of 3000 characters', stricter, 'z'.repeat(3000));
    id('with a blank', stricter, 'a b');
    id('with braces', stricter, 'a{b}');
    id('with letters beyond ASCII', stricter, 'ζωή');
    id('with a NUL byte', stricter, 'a\0b');
  });
});

describe('an id that nobody has', () => {
  test('is never adopted, however well it is signed', async () => {
    const sid = newSid();
    const lines = [`Cookie: connect.sid=${encodeURIComponent(signed(sid, SECRET))}`];
    const express = await raw(app.url, 'POST', '/session', lines, '{"a":1}');
    const sesior = await raw(system.rest, 'POST', '/register', lines, '{"userName":"nobody"}');
    for (const [cookie] of [express.setCookie, sesior.setCookie]) {
      assert.match(cookie, /^connect\.sid=s%3A/);
      assert.doesNotMatch(cookie, new RegExp(sid));
    }
    assert.equal(await app.redis.exists(`sess:${sid}`), 0);
    const verdict = await rpc.call('ResolveCookie', { cookie_header: lines[0].slice('Cookie: '.length) });
    assert.equal(verdict.verdict, 'COOKIE_VERDICT_UNKNOWN');
  });
});

describe('Set-Cookie', () => {
  // Both are handed a cookie signed by the retired secret; Express answers with a new one only when it is rolling.
  async function bothReissue(express, sesior, sid, headers = []) {
    const lines = [`Cookie: connect.sid=${encodeURIComponent(signed(sid, OLD))}`, ...headers];
    const [theirs] = (await raw(express.url, 'GET', '/session', lines)).setCookie;
    const [ours] = (await raw(sesior.rest, 'GET', '/session', lines)).setCookie;
    assert.ok(theirs, 'Express set no cookie');
    return { theirs, ours };
  }

  test('is Express\'s byte for byte, whatever the id', async () => {
    const rolling = await ExpressApp.start(system, { secret, rolling: true });
    try {
      const ids = [...Array.from({ length: 40 }, newSid), '8d88JCadsQco-apkDj-Z6Iu838GB5P40', 'a.b', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`|~'];
      for (const sid of ids) {
        await store(sid, { ...RECORD, a: 1 });
        const { theirs, ours } = await bothReissue(rolling, system, sid);
        assert.equal(ours, theirs);
      }
    } finally {
      await rolling.stop();
    }
  });

  test('is Express\'s with every attribute there is, and so is a new record', async () => {
    const MAX_AGE = 60_000;
    const settings = {
      COOKIE_DOMAIN: 'example.com', COOKIE_PATH: '/', COOKIE_MAX_AGE: `${MAX_AGE}ms`, COOKIE_SECURE: 'true', COOKIE_PARTITIONED: 'true',
      COOKIE_PRIORITY: 'high', COOKIE_SAME_SITE: 'none',
    };
    const names = Object.keys(settings).map((name) => `SESIOR_SESSION_${name}`);
    Object.values(settings).forEach((value, i) => (process.env[names[i]] = value));
    let other;
    try {
      other = await System.start(['--session', '1', '--realtime', '1', '--cookie-secret', secret.join(',')]);
    } finally {
      names.forEach((name) => delete process.env[name]);
    }
    const cookie = { domain: 'example.com', maxAge: MAX_AGE, secure: true, partitioned: true, priority: 'high', sameSite: 'none' };
    const full = await ExpressApp.start(other, { secret, rolling: true, proxy: true, cookie });
    try {
      const https = ['X-Forwarded-Proto: https'];
      const sidOf = (line) => decodeURIComponent(line.slice('connect.sid='.length).split(';')[0]).slice(2).split('.')[0];
      const withoutDate = (text) => text.replace(/Expires=[^;]+GMT|"expires":"[^"]+"/, 'DATE');
      const dateOf = (text) => Date.parse(text.match(/Expires=([^;]+GMT)|"expires":"([^"]+)"/).slice(1).find(Boolean));

      const [theirs] = (await raw(full.url, 'POST', '/session', https, '{"userName":"ann"}')).setCookie;
      const [ours] = (await raw(other.rest, 'POST', '/register', [], '{"userName":"ann"}')).setCookie;
      const anonymous = (line) => withoutDate(line).replace(/^connect\.sid=[^;]+/, 'connect.sid=VALUE');
      assert.equal(anonymous(ours), anonymous(theirs));
      assert.ok(Math.abs(dateOf(ours) - dateOf(theirs)) <= 10_000, `${ours} against ${theirs}`);
      assert.match(ours, /; Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT; /);

      const [theirRecord, ourRecord] = await Promise.all([theirs, ours].map((line) => full.redis.get(`sess:${sidOf(line)}`)));
      assert.equal(withoutDate(ourRecord), withoutDate(theirRecord));
      for (const line of [theirs, ours]) {
        const ttl = await full.redis.pTTL(`sess:${sidOf(line)}`);
        assert.ok(ttl > MAX_AGE - 20_000 && ttl <= MAX_AGE, `${ttl}`);
      }

      const again = await bothReissue(full, other, sidOf(ours), https);
      assert.equal(withoutDate(again.ours), withoutDate(again.theirs));
      assert.ok(Math.abs(dateOf(again.ours) - dateOf(again.theirs)) <= 10_000);
    } finally {
      await full.stop();
      await other.stop();
    }
  });
});

describe('a retired secret', () => {
  const withOld = (sid) => [`Cookie: connect.sid=${encodeURIComponent(signed(sid, OLD))}`];
  const current = (sid) => `connect.sid=${encodeURIComponent(signed(sid, SECRET))}; Path=/; HttpOnly`;
  async function stored(members) {
    const sid = newSid();
    await store(sid, { ...RECORD, ...members });
    return sid;
  }

  for (const [what, send] of [
    ['GET /verify-session', (lines) => raw(system.rest, 'GET', '/verify-session', lines)],
    ['GET /session', (lines) => raw(system.rest, 'GET', '/session', lines)],
    ['PATCH /session', (lines) => raw(system.rest, 'PATCH', '/session', lines, '{"b":2}')],
  ]) {
    test(`verifies, and ${what} answers with the cookie signed anew`, async () => {
      const sid = await stored({ a: 1 });
      const answer = await send(withOld(sid));
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.setCookie, [current(sid)]);
      const next = [`Cookie: ${answer.setCookie[0].split(';')[0]}`];
      assert.deepEqual((await raw(system.rest, 'GET', '/session', next)).setCookie, []);
      assert.equal((await raw(app.url, 'GET', '/session', next)).json.a, 1);
    });
  }

  test('is replaced even where the answer is 304', async () => {
    const sid = await stored({ a: 1 });
    const { headers } = await raw(system.rest, 'GET', '/session', withOld(sid));
    const etag = headers.find(([name]) => name === 'etag')[1];
    const answer = await raw(system.rest, 'GET', '/session', [...withOld(sid), `If-None-Match: ${etag}`]);
    assert.equal(answer.status, 304);
    assert.deepEqual(answer.setCookie, [current(sid)]);
  });

  test('is replaced when the session is registered again under its name', async () => {
    const userName = `rotated ${newSid().slice(0, 8)}`;
    const sid = await stored({ userName });
    const answer = await raw(system.rest, 'POST', '/register', withOld(sid), JSON.stringify({ userName }));
    assert.deepEqual(answer.setCookie, [current(sid)]);
  });

  test('lets a socket in, and gRPC says which cookie is due', async () => {
    const sid = await stored({});
    assert.equal(await socketVerdict(system.realtime[0], withOld(sid)), 'in');
    const resolved = await rpc.call('ResolveCookie', { cookie_header: withOld(sid)[0].slice('Cookie: '.length) });
    assert.equal(resolved.verdict, 'COOKIE_VERDICT_VALID');
    assert.equal(resolved.set_cookie, current(sid));
  });
});
