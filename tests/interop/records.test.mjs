// Records: what Express or SESIOR writes, the other reads and changes, and nothing else is touched.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { fresh } from '../e2e/support/peer.mjs';
import { SECRET, System } from '../e2e/support/system.mjs';
import { until } from '../e2e/support/wait.mjs';
import { ExpressApp } from './support/express.mjs';
import { socketVerdict } from './support/raw.mjs';
import { SessionRpc } from './support/rpc.mjs';
import { RECORD, Shared } from './support/session.mjs';

const DAY_MS = 86_400_000;

let system, app, rpc;
before(async () => {
  system = await System.start(['--realtime', '1']);
  app = await ExpressApp.start(system);
  rpc = new SessionRpc(system.session[0]);
});
after(async () => {
  rpc?.close();
  await app?.stop();
  await system?.stop();
});

const holding = (record, ttlMs) => Shared.holding(app, system.rest, SECRET, typeof record === 'string' ? record : JSON.stringify(record), ttlMs);
const nobody = () => new Shared(app, system.rest);
const byId = (shared) => ({ session: { session_id: shared.sid } });
const near = (actual, wanted, slack = 15_000) => assert.ok(actual <= wanted && actual > wanted - slack, `${actual} is not within ${slack} below ${wanted}`);

describe('a session', () => {
  test('that Express made is read and changed by SESIOR, and then by Express again', async () => {
    const ann = nobody();
    assert.equal((await ann.express('POST', '/session', { basket: [1], theme: 'dark' })).status, 200);
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { basket: [1], theme: 'dark' });
    assert.equal((await ann.sesior('PATCH', '/session', { theme: null, basket: [1, 2], lang: 'el' })).status, 200);
    assert.deepEqual((await ann.express('GET', '/session')).json, { basket: [1, 2], lang: 'el' });
    await ann.express('POST', '/session', { lang: 'en', seen: { a: { b: 1 } } });
    assert.deepEqual((await ann.sesior('PATCH', '/session', { seen: { a: { c: 2 } } })).json, { basket: [1, 2], lang: 'en', seen: { a: { b: 1, c: 2 } } });
  });

  test('that SESIOR made is read and changed by Express, and then by SESIOR again', async () => {
    const ann = nobody();
    const userName = fresh();
    assert.equal((await ann.sesior('POST', '/register', { userName })).status, 200);
    assert.deepEqual((await ann.express('GET', '/session')).json, { userName });
    await ann.express('POST', '/session', { basket: [1] });
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { userName, basket: [1] });
    const renamed = fresh();
    assert.equal((await ann.sesior('POST', '/register', { userName: renamed })).status, 200);
    assert.deepEqual((await ann.express('GET', '/session')).json, { userName: renamed, basket: [1] });
  });

  test('of a name: what Express writes as userName is claimed by SESIOR at first sight', async () => {
    const ann = nobody();
    const userName = fresh();
    await ann.express('POST', '/session', { userName });
    assert.deepEqual((await ann.sesior('GET', '/verify-session')).json, { sessionVerified: true, user: { userName } });
    assert.equal((await nobody().sesior('POST', '/register', { userName })).status, 409);
  });

  test('has the same record from both, byte for byte, when it is new', async () => {
    const [theirs, ours] = [nobody(), nobody()];
    await theirs.express('POST', '/session', { userName: 'x' });
    const userName = fresh();
    await ours.sesior('POST', '/register', { userName });
    assert.equal(await ours.record(), (await theirs.record()).replace('"x"', JSON.stringify(userName)));
    near(await ours.pttl(), DAY_MS);
  });

  test('that has not changed since Express saved it keeps its ETag', async () => {
    const resaving = await ExpressApp.start(system, { resave: true });
    try {
      const ann = nobody();
      await ann.express('POST', '/session', { a: 1 });
      const etag = async () => (await ann.sesior('GET', '/session')).headers.find(([name]) => name === 'etag')[1];
      const before = await etag();
      ann.app = resaving;
      await ann.express('GET', '/session');
      assert.equal(await etag(), before);
      await ann.express('POST', '/session', { a: 2 });
      assert.equal((await ann.sesior('PATCH', '/session', { a: 3 }, [`If-Match: ${before}`])).status, 412);
      assert.equal((await ann.sesior('GET', '/session')).json.a, 2);
    } finally {
      await resaving.stop();
    }
  });

  test('loses nothing when both change it, one after the other, many times', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { start: 0 });
    for (let i = 0; i < 20; ++i) {
      await ann.express('POST', '/session', { [`e${i}`]: i });
      await ann.sesior('PATCH', '/session', { [`s${i}`]: i });
    }
    const all = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [[`e${i}`, i], [`s${i}`, i]]).flat());
    assert.deepEqual((await ann.express('GET', '/session')).json, { start: 0, ...all });
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { start: 0, ...all });
  });
});

describe('byte for byte', () => {
  const kept = (what, record) =>
    test(`a patch keeps ${what}`, async () => {
      const ann = await holding(record);
      assert.equal((await ann.sesior('PATCH', '/session', { added: 1 })).status, 200);
      assert.equal(await ann.record(), `${record.slice(0, -1)},"added":1}`);
      assert.equal((await ann.express('GET', '/session')).status, 200);
      // A patch that says what is there already writes nothing.
      assert.equal((await ann.sesior('PATCH', '/session', { added: 1 })).status, 200);
      assert.equal(await ann.record(), `${record.slice(0, -1)},"added":1}`);
    });
  const cookie = JSON.stringify(RECORD.cookie);
  kept('number text that JavaScript would change', `{"cookie":${cookie},"big":12345678901234567890,"f":1.0,"e":1e3,"E":-0.0E+2,"huge":1e400}`);
  kept('empty arrays and objects', `{"cookie":${cookie},"a":[],"o":{},"deep":{"a":[[],[{}]]}}`);
  kept('escapes as they were written', `{"cookie":${cookie},"\\u0061b":"\\u00e9\\/\\n","lone":"\\ud800"}`);
  kept('letters beyond ASCII', `{"cookie":${cookie},"όνομα":"Ζωή 😀"}`);
  kept('a cookie object with all that Express writes', '{"cookie":{"originalMaxAge":60000,"partitioned":true,"priority":"high","expires":"2099-01-01T00:00:00.000Z","secure":true,"httpOnly":true,"domain":"example.com","path":"/","sameSite":"none"},"a":1}');
  kept('a cookie object with members that nobody knows', '{"cookie":{"path":"/","originalMaxAge":null,"expires":null,"flavour":["oat",1.50]},"a":1}');
  kept('an empty cookie object', '{"cookie":{},"a":1}');
  kept('a cookie object that does not come first', `{"a":1,"cookie":${cookie},"b":2}`);
  kept('names that look like ours', `{"cookie":${cookie},"__v":1,"_sesior":{"x":1},"sesior:meta":2}`);
  kept('names of any object where they are not at the top', `{"cookie":${cookie},"o":{"constructor":1,"cookie":2,"id":3}}`);
  kept('a large record', `{"cookie":${cookie},"pad":"${'x'.repeat(50_000)}"}`);

  test('a patch changes the members it names and no others', async () => {
    const ann = await holding(`{"cookie":${cookie},"a":1.0,"b":[ 1 , 2.50 ],"c":"\\u0041"}`);
    await ann.sesior('PATCH', '/session', { a: 2 });
    assert.equal(await ann.record(), `{"cookie":${cookie},"a":2,"b":[ 1 , 2.50 ],"c":"\\u0041"}`);
    await ann.sesior('PATCH', '/session', { b: null });
    assert.equal(await ann.record(), `{"cookie":${cookie},"a":2,"c":"\\u0041"}`);
  });

  test('a rename changes the name alone', async () => {
    const userName = fresh();
    const ann = await holding(`{"cookie":${cookie},"n":1.0,"userName":${JSON.stringify(userName)},"z":[]}`);
    const renamed = fresh();
    assert.equal((await ann.sesior('POST', '/register', { userName: renamed })).status, 200);
    assert.equal(await ann.record(), `{"cookie":${cookie},"n":1.0,"userName":${JSON.stringify(renamed)},"z":[]}`);
  });

  test('a new id takes the record along as it is', async () => {
    const ann = await holding(`{"cookie":${cookie},"n":1.0}`);
    const userName = fresh();
    assert.equal((await ann.sesior('POST', '/register', { userName })).status, 200);
    assert.equal(await ann.record(), `{"cookie":${cookie},"n":1.0,"userName":${JSON.stringify(userName)}}`);
  });
});

describe('names that Express cannot load', () => {
  test('are refused, and named, over REST and gRPC; the record stays as it is', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { a: 1 });
    const before = await ann.record();
    const { json: names } = await ann.express('GET', '/names');
    assert.ok(names.includes('regenerate') && names.includes('__proto__') && names.includes('id'), `${names}`);
    for (const name of names.filter((each) => each !== 'a')) {
      // By hand: JSON.stringify and object literals treat __proto__ as something else.
      const patch = `{"b":2,${JSON.stringify(name)}:1}`;
      const refused = await rpc.refused('UpdateSession', { ...byId(ann), merge_patch_json: patch });
      assert.deepEqual([refused.code, refused.reason, refused.fields], ['INVALID_ARGUMENT', 'RESERVED_MEMBER', [name]], name);
      const answer = await ann.sesior('PATCH', '/session', JSON.parse(patch));
      assert.equal(answer.status, 400, name);
      assert.ok(answer.text.includes(name), `${answer.text} does not name ${name}`);
      const created = await rpc.refused('CreateSession', { data_json: patch });
      assert.deepEqual([created.code, created.fields], ['INVALID_ARGUMENT', [name]], name);
    }
    assert.equal(await ann.record(), before);
  });

  test('are indeed lost to Express, which erases them with its next look; SESIOR keeps them as any other', async () => {
    const ann = await holding('{"cookie":{"originalMaxAge":null,"expires":null},"id":"mine","a":1}');
    assert.deepEqual((await ann.sesior('PATCH', '/session', { b: 2 })).json, { id: 'mine', a: 1, b: 2 });
    assert.deepEqual((await ann.express('GET', '/session')).json, { a: 1, b: 2 });
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { a: 1, b: 2 });
  });
});

describe('the time to live', () => {
  test('is kept by a write of gRPC, to the millisecond', async () => {
    const ann = await holding({ ...RECORD, a: 1 }, 4_000_000);
    const ends = async () => Date.now() + (await ann.pttl());
    const before = await ends();
    const updated = await rpc.call('UpdateSession', { ...byId(ann), merge_patch_json: '{"b":1}' });
    assert.ok(Math.abs((await ends()) - before) < 1000);
    assert.equal(updated.session.data_json, '{"a":1,"b":1}');
  });

  test('is renewed by a request to either, to the same limit', async () => {
    for (const side of ['express', 'sesior']) {
      const ann = await holding({ ...RECORD, a: 1 }, 4_000_000);
      await ann[side]('GET', '/session');
      near(await ann.pttl(), DAY_MS);
    }
  });

  test('is renewed to originalMaxAge where there is one', async () => {
    for (const side of ['express', 'sesior']) {
      const ann = nobody();
      await ann.express('POST', '/session', { a: 1 });
      await ann.express('POST', '/max-age', { maxAge: 600_000 });
      near(await ann.pttl(), 600_000);
      await app.redis.pExpire(ann.key, 300_000);
      await ann[side]('GET', '/session');
      near(await ann.pttl(), 600_000);
    }
  });

  test('counts, and the date in the record does not', async () => {
    const ann = await holding('{"cookie":{"originalMaxAge":60000,"expires":"2001-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},"a":1}', 50_000);
    const before = await ann.record();
    assert.equal((await ann.express('GET', '/session')).json.a, 1);
    assert.equal((await ann.sesior('GET', '/session')).json.a, 1);
    assert.equal(await socketVerdict(system.realtime[0], [`Cookie: ${ann.cookie}`]), 'in');
    assert.equal(await ann.record(), before);
    near(await ann.pttl(), 60_000);
  });

  test('of a record that has none stays none', async () => {
    const ann = await holding({ ...RECORD, a: 1 }, null);
    await ann.sesior('GET', '/session');
    await ann.sesior('PATCH', '/session', { b: 1 });
    await rpc.call('TouchSession', byId(ann));
    assert.equal(await ann.pttl(), -1);
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { a: 1, b: 1 });
  });

  test('that has run out ends the session for both', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { a: 1 });
    await ann.sesior('GET', '/session');
    await app.redis.pExpire(ann.key, 1);
    await until('the end of the time', async () => (await ann.record()) === null);
    assert.equal((await ann.sesior('GET', '/session')).status, 401);
    assert.deepEqual((await ann.express('GET', '/session')).json, {});
  });
});

describe('what is written and set, and when', () => {
  const ages = ['no maxAge', 'maxAge'];
  const made = async (age) => {
    const ann = nobody();
    await ann.express('POST', '/session', { a: 1 });
    if (age === 'maxAge') await ann.express('POST', '/max-age', { maxAge: 600_000 });
    return ann;
  };

  test('no cookie, nothing to store: nothing', async () => {
    for (const [side, path] of [['express', '/session'], ['sesior', '/verify-session'], ['sesior', '/session']]) {
      const ann = nobody();
      const before = await app.redis.dbSize();
      assert.deepEqual((await ann[side]('GET', path)).setCookie, []);
      assert.equal(await app.redis.dbSize(), before);
    }
  });

  for (const age of ages) {
    test(`a known session that does not change, ${age}: the record stays byte for byte`, async () => {
      for (const side of ['express', 'sesior']) {
        const ann = await made(age);
        const before = await ann.record();
        assert.deepEqual((await ann[side]('GET', '/session')).setCookie, []);
        assert.equal(await ann.record(), before);
      }
    });
  }

  test('a changed session without maxAge: no cookie', async () => {
    for (const [side, method] of [['express', 'POST'], ['sesior', 'PATCH']]) {
      const ann = await made('no maxAge');
      assert.deepEqual((await ann[side](method, '/session', { b: 1 })).setCookie, []);
    }
  });

  test('a changed session with maxAge whose date is due: a cookie with the new date', async () => {
    for (const [side, method] of [['express', 'POST'], ['sesior', 'PATCH']]) {
      const ann = await made('maxAge');
      await app.redis.pExpire(ann.key, 300_000);
      const [line] = (await ann[side](method, '/session', { b: 1 })).setCookie;
      assert.match(line, /^connect\.sid=s%3A[^;]+; Path=\/; Expires=[^;]+ GMT; HttpOnly$/);
      const left = Date.parse(line.match(/Expires=([^;]+)/)[1]) - Date.now();
      assert.ok(left > 580_000 && left <= 601_000, `${left}`);
      near(await ann.pttl(), 600_000);
    }
  });

  test('with maxAge, an unchanged session whose date is due: SESIOR sets it anew, as Express does when it is rolling', async () => {
    const rolling = await ExpressApp.start(system, { rolling: true });
    try {
      for (const side of ['express', 'sesior']) {
        const ann = await made('maxAge');
        ann.app = rolling;
        await app.redis.pExpire(ann.key, 300_000);
        const [line] = (await ann[side]('GET', '/session')).setCookie;
        assert.match(line, /; Expires=/);
      }
    } finally {
      await rolling.stop();
    }
  });

  test('a patch leaves the cookie object alone, its date too', async () => {
    const ann = await made('maxAge');
    const cookieOf = (record) => record.slice(0, record.indexOf('}') + 1);
    const before = cookieOf(await ann.record());
    await app.redis.pExpire(ann.key, 300_000);
    await ann.sesior('PATCH', '/session', { b: 1 });
    assert.equal(cookieOf(await ann.record()), before);
  });
});

describe('the end of a session', () => {
  // What either says to a cookie: members of the session, or null.
  const atBoth = async (ann, cookie) => {
    const other = nobody();
    other.cookie = cookie;
    const [express, sesior] = [await other.express('GET', '/session'), await other.sesior('GET', '/session')];
    return [Object.keys(express.json).length > 0, sesior.status === 200];
  };
  const both = [true, true];
  const neither = [false, false];

  test('by Express is seen by SESIOR at once; the name is free', async () => {
    const ann = nobody();
    const userName = fresh();
    await ann.sesior('POST', '/register', { userName });
    const { cookie } = ann;
    assert.deepEqual(await atBoth(ann, cookie), both);
    await ann.express('POST', '/destroy', {});
    assert.deepEqual(await atBoth(ann, cookie), neither);
    assert.equal(await socketVerdict(system.realtime[0], [`Cookie: ${cookie}`]), 'Not authorized');
    assert.equal((await nobody().sesior('POST', '/register', { userName })).status, 200);
  });

  test('by SESIOR is seen by Express at once', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { a: 1 });
    const { cookie } = ann;
    await ann.sesior('GET', '/session');
    const answer = await ann.sesior('POST', '/logout');
    assert.equal(answer.status, 204);
    assert.deepEqual(answer.setCookie, ['connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly']);
    assert.deepEqual(await atBoth(ann, cookie), neither);
  });

  test('by a new id that Express gave: the old id is nobody\'s, the new one is everybody\'s', async () => {
    const ann = nobody();
    const userName = fresh();
    await ann.sesior('POST', '/register', { userName });
    const { cookie } = ann;
    await ann.express('POST', '/regenerate', { a: 1 });
    assert.notEqual(ann.cookie, cookie);
    assert.deepEqual(await atBoth(ann, cookie), neither);
    assert.deepEqual(await atBoth(ann, ann.cookie), both);
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { a: 1 });
    assert.equal((await nobody().sesior('POST', '/register', { userName })).status, 200);
  });

  test('by a new id that SESIOR gave: the old id is nobody\'s, the new one is everybody\'s and has the data', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { basket: [1] });
    const { cookie } = ann;
    const userName = fresh();
    await ann.sesior('POST', '/register', { userName });
    assert.notEqual(ann.cookie, cookie);
    assert.deepEqual(await atBoth(ann, cookie), neither);
    assert.deepEqual((await ann.express('GET', '/session')).json, { basket: [1], userName });
  });

  for (const [what, end] of [
    ['logged out of SESIOR', (ann) => ann.sesior('POST', '/logout')],
    ['moved by SESIOR to a new id', (ann) => ann.sesior('POST', '/register', { userName: fresh() })],
  ]) {
    test(`is final: what Express saves late of a session that was ${what} lets nobody in`, async () => {
      const ann = nobody();
      await ann.express('POST', '/session', { a: 1 });
      const late = nobody();
      late.cookie = ann.cookie;
      const gate = app.gate(`late ${ann.sid}`);
      const saved = late.express('POST', `/slow?gate=${encodeURIComponent(`late ${ann.sid}`)}`, { late: 1 });
      await gate.waiting;
      await end(ann);
      gate.open();
      assert.equal((await saved).status, 200);
      assert.equal((await late.sesior('GET', '/session')).status, 401);
      // SESIOR has looked: the record is gone again, for Express too.
      assert.equal(await late.record(), null);
      assert.equal(await socketVerdict(system.realtime[0], [`Cookie: ${late.cookie}`]), 'Not authorized');
      assert.deepEqual((await late.express('GET', '/session')).json, {});
    });
  }
});

describe('a record that Express loaded before a write of SESIOR, and saves after it', () => {
  // Express has the session as it is now; `change` happens; then Express saves its copy, with a member of its own.
  async function savedOver(ann, change) {
    const late = nobody();
    late.cookie = ann.cookie;
    const name = fresh('gate');
    const gate = app.gate(name);
    const saved = late.express('POST', `/slow?gate=${encodeURIComponent(name)}`, { late: 1 });
    await gate.waiting;
    await change();
    gate.open();
    assert.equal((await saved).status, 200);
  }

  test('does not set a name back: its owner keeps it, the record is mended at the next look, and Express loses nothing of its own', async () => {
    const ann = nobody();
    const [before, after] = [fresh(), fresh()];
    await ann.sesior('POST', '/register', { userName: before });
    await savedOver(ann, () => ann.sesior('POST', '/register', { userName: after }));
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { userName: after, late: 1 });
    assert.deepEqual((await ann.express('GET', '/session')).json, { userName: after, late: 1 });
    assert.equal((await nobody().sesior('POST', '/register', { userName: after })).status, 409);
    assert.equal((await nobody().sesior('POST', '/register', { userName: before })).status, 200);
  });

  test('does overwrite other members: nothing says which of the two is right', async () => {
    const ann = nobody();
    await ann.express('POST', '/session', { a: 1 });
    await savedOver(ann, () => ann.sesior('PATCH', '/session', { a: 2 }));
    assert.deepEqual((await ann.sesior('GET', '/session')).json, { a: 1, late: 1 });
  });
});
