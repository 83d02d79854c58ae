// The REST half of the contract: status, body to the byte, cookies, errors, origins.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { readSession, signedCookie, sidOf, writeSession } from './support/express_session.mjs';
import { Browser, request } from './support/http.mjs';
import { fence, fresh, join, Peer } from './support/peer.mjs';
import { OTHER_ORIGIN, System, onlySesior } from './support/system.mjs';

let system;
before(async () => (system = await System.start()));
after(() => system?.stop());

const TAKEN = '{"membershipResolved":false,"error":"User already exists"}';
const registered = (userName) => JSON.stringify({ membershipResolved: true, user: { userName } });
const verified = (userName) => JSON.stringify({ sessionVerified: true, user: { userName } });
const NOT_VERIFIED = '{"sessionVerified":false}';
const COOKIE = /^connect\.sid=s%3A[\w-]{32}\.(?:[\w-]|%2B|%2F){43}; Path=\/(?:; Expires=[^;]+)?; HttpOnly(?:; SameSite=Lax)?$/;

async function isJson(response) {
  assert.match(response.headers['content-type'], /^application\/json/);
}

describe('GET /', () => {
  test('serves the page', async () => {
    const page = await request(`${system.rest}/`);
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    assert.match(page.text, /<title>SESIOR<\/title>/);
  });

  test('serves the scripts of the page as scripts', async () => {
    const script = await request(`${system.rest}/main.js`);
    assert.equal(script.status, 200);
    assert.match(script.headers['content-type'], /^(text|application)\/javascript/);
  });

  test('tells the page where the realtime replicas are', async () => {
    const config = await request(`${system.rest}/config.json`);
    assert.deepEqual(config.json, { realtime: system.realtime });
  });

  for (const path of ['/../main.cpp', '/..%2f..%2fREADME.md', '/%2e%2e/%2e%2e/README.md', '//etc/passwd', '/nothing-here']) {
    test(`gives nothing outside the page: ${path}`, async () => {
      const answer = await request(system.rest, { path });
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
    });
  }
});

describe('POST /register', () => {
  test('claims the name and sets the cookie', async () => {
    const name = fresh();
    const answer = await new Browser(system.rest).register(name);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, registered(name));
    await isJson(answer);
    assert.equal(answer.headers['set-cookie'].length, 1);
    assert.match(answer.headers['set-cookie'][0], COOKIE);
  });

  test('takes a form too', async () => {
    const name = fresh('form & co =');
    const answer = await new Browser(system.rest).post('/register', { form: { userName: name } });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, registered(name));
  });

  test('writes a record that Express can read', async () => {
    const browser = new Browser(system.rest);
    const name = fresh();
    await browser.register(name);
    const record = await readSession(system, browser.cookie);
    assert.equal(record.userName, name);
    assert.equal(record.cookie.path, '/');
    assert.equal(record.cookie.httpOnly, true);
    assert.ok(Number(await system.redisCli('TTL', `sess:${sidOf(browser.cookie)}`)) > 0);
  });

  test('refuses a name that is taken', async () => {
    const name = fresh();
    await new Browser(system.rest).register(name);
    const answer = await new Browser(system.rest).register(name);
    assert.equal(answer.status, 409);
    assert.equal(answer.text, TAKEN);
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('has one winner when twenty ask for one name at once', async () => {
    const name = fresh();
    const answers = await Promise.all(Array.from({ length: 20 }, () => new Browser(system.rest).register(name)));
    assert.deepEqual(answers.map((a) => a.status).sort(), [200, ...Array(19).fill(409)]);
  });

  for (const [what, options] of [
    ['an empty name', { json: { userName: '' } }],
    ['blanks only', { json: { userName: ' \t\u00a0\ufeff ' } }],
    ['65 code points', { json: { userName: 'a'.repeat(65) } }],
    ['65 code points beyond the BMP', { json: { userName: '😀'.repeat(65) } }],
    ['a control character', { json: { userName: 'a\u0007b' } }],
    ['a C1 control character', { json: { userName: 'a\u0085b' } }],
    ['a NUL', { json: { userName: 'a\u0000b' } }],
    ['a lone surrogate', { body: '{"userName":"a\\ud800b"}', headers: { 'content-type': 'application/json' } }],
    ['no name', { json: {} }],
    ['a number for a name', { json: { userName: 5 } }],
    ['null for a name', { json: { userName: null } }],
    ['an array for a name', { json: { userName: ['ann'] } }],
    ['an array', { json: ['ann'] }],
    ['a form without the name', { form: { user: 'ann' } }],
  ]) {
    test(`answers 400 that names the field to ${what}`, async () => {
      const answer = await new Browser(system.rest).post('/register', options);
      assert.equal(answer.status, 400);
      assert.deepEqual(Object.keys(answer.json), ['membershipResolved', 'error']);
      assert.equal(answer.json.membershipResolved, false);
      assert.match(answer.json.error, /userName/);
      assert.equal(answer.headers['set-cookie'], undefined);
    });
  }

  for (const [what, options] of [
    ['broken JSON', { body: '{"userName":', headers: { 'content-type': 'application/json' } }],
    ['an empty body', { body: '', headers: { 'content-type': 'application/json' } }],
    ['bytes that are no UTF-8', { body: Buffer.from('7b22757365724e616d65223a22ff227d', 'hex'), headers: { 'content-type': 'application/json' }, sesior: true }],
  ]) {
    test(`answers 400 to ${what}`, options.sesior ? onlySesior : {}, async () => {
      const answer = await new Browser(system.rest).post('/register', options);
      assert.equal(answer.status, 400);
      assert.equal(answer.json.membershipResolved, false);
      assert.equal(typeof answer.json.error, 'string');
    });
  }

  for (const name of ['😀'.repeat(64), '__proto__', 'constructor', 'toString', '<b>bold</b>', '"quoted" \\ \'', 'Ζωή', 'مريم', 'e\u0301', '1', 'a\u2028b']) {
    test(`takes ${JSON.stringify(name.slice(0, 24))}`, async () => {
      const browser = new Browser(system.rest);
      const answer = await browser.register(name);
      assert.equal(answer.status, 200);
      assert.equal(answer.json.user.userName, name);
      assert.equal((await browser.get('/verify-session')).json.user.userName, name);
    });
  }

  test('trims as JavaScript does', async () => {
    const name = fresh();
    const answer = await new Browser(system.rest).register(`\ufeff\u00a0\u2003 ${name}\u3000\n\t`);
    assert.equal(answer.text, registered(name));
  });

  test('compares names byte for byte', async () => {
    const name = fresh('é');
    assert.equal((await new Browser(system.rest).register(name)).status, 200);
    assert.equal((await new Browser(system.rest).register(name.normalize('NFD'))).status, 200);
    assert.equal((await new Browser(system.rest).register(name.toUpperCase())).status, 200);
  });

  test('called again renames, and lets the old name go', async () => {
    const [first, second] = [fresh(), fresh()];
    const browser = new Browser(system.rest);
    await browser.register(first);
    const cookie = browser.cookie;
    const answer = await browser.register(second);
    assert.equal(answer.text, registered(second));
    assert.equal(browser.cookie, cookie);
    assert.equal((await browser.get('/verify-session')).text, verified(second));
    assert.equal((await new Browser(system.rest).register(first)).status, 200);
  });

  test('called again with a taken name changes nothing', async () => {
    const [first, taken] = [fresh(), fresh()];
    await new Browser(system.rest).register(taken);
    const browser = new Browser(system.rest);
    await browser.register(first);
    const answer = await browser.register(taken);
    assert.equal(answer.status, 409);
    assert.equal(answer.text, TAKEN);
    assert.equal((await browser.get('/verify-session')).text, verified(first));
  });

  test('renames for every socket, the own ones included, when the session is online', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    const name = fresh();
    await ann.browser.register(name);
    const renamed = { oldUserName: ann.name, user: { userName: name } };
    assert.deepEqual(await bob.peer.next('user:renamed', (e) => e.oldUserName === ann.name), renamed);
    assert.deepEqual(await ann.peer.next('user:renamed', (e) => e.oldUserName === ann.name), renamed);
    ann.peer.close();
    bob.peer.close();
  });

  test('tells nobody when the session is not online, or keeps its name', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    const offline = new Browser(system.rest);
    await offline.register(fresh());
    await offline.register(fresh());
    await ann.browser.register(ann.name);
    bob.peer.take();
    ann.peer.take();
    assert.deepEqual((await fence(bob.peer, ann)).filter((e) => e.name === 'user:renamed'), []);
    ann.peer.close();
    bob.peer.close();
  });
});

describe('a session that has no name yet', () => {
  test('keeps its data under a new id when it registers', async () => {
    const { sid, cookie } = await writeSession(system, { basket: [1, { two: 2 }] });
    const browser = new Browser(system.rest);
    browser.cookie = cookie;
    const name = fresh();
    const answer = await browser.register(name);
    assert.equal(answer.status, 200);
    assert.match(answer.headers['set-cookie'][0], COOKIE);
    assert.notEqual(sidOf(browser.cookie), sid);
    assert.deepEqual((await readSession(system, browser.cookie)).basket, [1, { two: 2 }]);
    assert.equal(await system.redisCli('EXISTS', `sess:${sid}`), '0');
    assert.equal((await request(`${system.rest}/verify-session`, { cookie })).text, NOT_VERIFIED);
  });

  test('has the sockets of the old id ended', async () => {
    const { cookie } = await writeSession(system, { basket: 1 });
    const peer = await Peer.open(system.realtime[1], cookie);
    const browser = new Browser(system.rest);
    browser.cookie = cookie;
    await browser.register(fresh());
    assert.equal(await peer.gone(), 'io server disconnect');
  });
});

describe('GET /verify-session', () => {
  test('knows a registered session', async () => {
    const browser = new Browser(system.rest);
    const name = fresh();
    await browser.register(name);
    const answer = await browser.get('/verify-session');
    assert.equal(answer.status, 200);
    assert.equal(answer.text, verified(name));
    await isJson(answer);
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('knows nobody without a cookie, and sets none', async () => {
    const answer = await request(`${system.rest}/verify-session`);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, NOT_VERIFIED);
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('knows a session that Express wrote, and its name is claimed', async () => {
    const name = fresh('express');
    const { cookie } = await writeSession(system, { userName: name });
    assert.equal((await request(`${system.rest}/verify-session`, { cookie })).text, verified(name));
  });

  test('claims the name of a session that Express wrote', onlySesior, async () => {
    const name = fresh('express');
    const { cookie } = await writeSession(system, { userName: name });
    await request(`${system.rest}/verify-session`, { cookie });
    assert.equal((await new Browser(system.rest).register(name)).text, TAKEN);
  });

  test('treats a forged, altered or unknown cookie as none, and never adopts its id', async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const good = browser.cookie;
    const unknown = signedCookie('A'.repeat(32));
    const cookies = [
      good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A'),
      good.replace('s%3A', 's%3Ax'),
      good.replace('s%3A', ''),
      good.replace('connect.sid', 'connect.SID'),
      signedCookie(sidOf(good), 'another secret'),
      unknown,
      'connect.sid=',
      'connect.sid=%',
      `connect.sid=s%3A${'x'.repeat(5000)}.y`,
    ];
    for (const cookie of cookies) {
      const answer = await request(`${system.rest}/verify-session`, { cookie });
      assert.equal(answer.status, 200, cookie);
      assert.equal(answer.text, NOT_VERIFIED, cookie);
    }
    const adopted = await request(`${system.rest}/register`, { method: 'POST', cookie: unknown, json: { userName: fresh() } });
    assert.notEqual(sidOf(adopted.cookie), 'A'.repeat(32));
  });

  test('finds its cookie among others, in quotes, and takes the first of the name', async () => {
    const browser = new Browser(system.rest);
    const name = fresh();
    await browser.register(name);
    const value = browser.cookie.slice('connect.sid='.length);
    for (const cookie of [`a=1; ${browser.cookie}; b=2`, `connect.sid="${value}"`, `${browser.cookie}; connect.sid=bad`]) {
      assert.equal((await request(`${system.rest}/verify-session`, { cookie })).text, verified(name), cookie);
    }
    const secondGood = await request(`${system.rest}/verify-session`, { cookie: `connect.sid=bad; ${browser.cookie}` });
    assert.equal(secondGood.text, NOT_VERIFIED);
  });
});

describe('GET /users', () => {
  test('lists who is online on any replica, in pages, with the total', async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 }), await join(system, { replica: 1 })];
    const all = await request(`${system.rest}/users`);
    assert.equal(all.status, 200);
    for (const { name } of users) assert.deepEqual(all.json.users[name], { userName: name });
    const names = Object.keys(all.json.users);
    assert.equal(all.headers['x-total-count'], String(names.length));

    const seen = [];
    for (let next = ''; ; next = `&after=${encodeURIComponent(seen.at(-1))}`) {
      const page = await request(`${system.rest}/users?limit=2${next}`);
      const part = Object.keys(page.json.users);
      assert.equal(page.headers['x-total-count'], String(names.length));
      if (part.length === 0) break;
      assert.ok(part.length <= 2);
      seen.push(...part);
      assert.ok(seen.length <= names.length);
    }
    assert.deepEqual(seen.toSorted(), names.toSorted());
    for (const { peer } of users) peer.close();
  });

  test('does not list somebody who is signed in but not connected', async () => {
    const name = fresh();
    await new Browser(system.rest).register(name);
    assert.equal((await request(`${system.rest}/users`)).json.users[name], undefined);
  });
});

describe('/session', () => {
  const patch = (browser, body, headers = {}) => browser.send('PATCH', '/session', { json: body, headers });

  test('answers 401 without a session', async () => {
    const nobody = new Browser(system.rest);
    assert.equal((await nobody.get('/session')).status, 401);
    assert.equal((await patch(nobody, { a: 1 })).status, 401);
  });

  test('shows the own record without `cookie`, and merges a patch into it', async () => {
    const browser = new Browser(system.rest);
    const userName = fresh();
    await browser.register(userName);
    const first = await browser.get('/session');
    assert.equal(first.status, 200);
    assert.deepEqual(first.json, { userName });
    assert.match(first.headers.etag, /^"[^"]+"$/);

    assert.equal((await patch(browser, { theme: { dark: true, size: 2 }, list: [1] })).status, 200);
    assert.equal((await patch(browser, { theme: { size: null, font: 'x' }, list: [2] })).status, 200);
    const second = await browser.get('/session');
    assert.deepEqual(second.json, { userName, theme: { dark: true, font: 'x' }, list: [2] });
    assert.notEqual(second.headers.etag, first.headers.etag);
  });

  test('honours If-Match', async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const { etag } = (await browser.get('/session')).headers;
    assert.equal((await patch(browser, { a: 1 }, { 'if-match': etag })).status, 200);
    assert.equal((await patch(browser, { a: 2 }, { 'if-match': etag })).status, 412);
    assert.equal((await browser.get('/session')).json.a, 1);
  });

  test('refuses a claimed member, and says which', async () => {
    const browser = new Browser(system.rest);
    const userName = fresh();
    await browser.register(userName);
    const answer = await patch(browser, { userName: 'other', a: 1 });
    assert.equal(answer.status, 400);
    assert.match(answer.text, /userName/);
    assert.deepEqual((await browser.get('/session')).json, { userName });
  });

  for (const [what, body] of [['an array', '[1]'], ['a number', '1'], ['broken JSON', '{"a":']]) {
    test(`answers 400 to ${what}`, async () => {
      const browser = new Browser(system.rest);
      await browser.register(fresh());
      const answer = await browser.send('PATCH', '/session', { body, headers: { 'content-type': 'application/json' } });
      assert.equal(answer.status, 400);
    });
  }

  test('refuses what no record can take, says which member, and leaves the record as it was', onlySesior, async () => {
    const browser = new Browser(system.rest);
    const userName = fresh();
    await browser.register(userName);
    assert.equal((await patch(browser, { big: 'x'.repeat(40_000) })).status, 200);
    const before = await browser.get('/session');
    for (const [status, member, body] of [
      [400, 'cookie', '{"a":1,"cookie":null}'],
      [400, '__proto__', '{"a":1,"__proto__":{}}'],
      [400, 'deep', `{"a":1,"deep":${'['.repeat(40)}${']'.repeat(40)}}`],
      [413, 'more', JSON.stringify({ a: 1, more: 'x'.repeat(40_000) })],
    ]) {
      const answer = await browser.send('PATCH', '/session', { body, headers: { 'content-type': 'application/json' } });
      assert.equal(answer.status, status, member);
      assert.match(answer.json.error, new RegExp(member));
      const after = await browser.get('/session');
      assert.equal(after.text, before.text);
      assert.equal(after.headers.etag, before.headers.etag);
    }
  });

  test('answers 304 to who has the record already', onlySesior, async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const { etag } = (await browser.get('/session')).headers;
    const same = await browser.send('GET', '/session', { headers: { 'if-none-match': etag } });
    assert.equal(same.status, 304);
    assert.equal(same.text, '');
    await patch(browser, { a: 1 });
    assert.equal((await browser.send('GET', '/session', { headers: { 'if-none-match': etag } })).status, 200);
  });

  test('loses no patch when many come at once', onlySesior, async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => patch(browser, { [`m${i}`]: i })));
    const done = answers.filter((a) => a.status === 200).length;
    assert.deepEqual([...new Set(answers.map((a) => a.status))].filter((s) => s !== 200 && s !== 409), []);
    const members = Object.keys((await browser.get('/session')).json).filter((m) => m.startsWith('m'));
    assert.equal(members.length, done);
  });

  test('keeps what Express wrote byte for byte', onlySesior, async () => {
    const name = fresh();
    const { sid, cookie } = await writeSession(system, { userName: name });
    const text = `{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"n":12345678901234567890,"f":1.10,"e":[],"userName":${JSON.stringify(name)}}`;
    await system.redisCli('SET', `sess:${sid}`, text, 'EX', '86400');
    const browser = new Browser(system.rest);
    browser.cookie = cookie;
    assert.equal((await patch(browser, { a: 1 })).status, 200);
    const stored = await system.redisCli('GET', `sess:${sid}`);
    assert.ok(stored.includes('"n":12345678901234567890,"f":1.10,"e":[]'), stored);
  });
});

describe('POST /logout', () => {
  test('destroys the session, clears the cookie, frees the name', async () => {
    const browser = new Browser(system.rest);
    const name = fresh();
    await browser.register(name);
    const { cookie } = browser;
    const answer = await browser.post('/logout');
    assert.equal(answer.status, 204);
    assert.equal(answer.text, '');
    assert.match(answer.headers['set-cookie'][0], /^connect\.sid=; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT/);
    assert.equal((await request(`${system.rest}/verify-session`, { cookie })).text, NOT_VERIFIED);
    assert.equal(await readSession(system, cookie), null);
    assert.equal((await new Browser(system.rest).register(name)).status, 200);
  });

  test('is no error without a session', async () => {
    assert.equal((await new Browser(system.rest).post('/logout')).status, 204);
  });
});

describe('other origins', () => {
  const preflight = (origin, method = 'PATCH') =>
    request(`${system.rest}/session`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
    });

  test('a listed one may call, with credentials', async () => {
    const answer = await request(`${system.rest}/verify-session`, { headers: { origin: OTHER_ORIGIN } });
    assert.equal(answer.headers['access-control-allow-origin'], OTHER_ORIGIN);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.match(answer.headers.vary, /\borigin\b/i);
  });

  test('a listed one gets its preflight answered', async () => {
    const answer = await preflight(OTHER_ORIGIN);
    assert.ok([200, 204].includes(answer.status));
    assert.equal(answer.headers['access-control-allow-origin'], OTHER_ORIGIN);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    for (const method of ['GET', 'PUT', 'PATCH', 'POST', 'DELETE']) {
      assert.ok(answer.headers['access-control-allow-methods'].split(/, ?/).includes(method), method);
    }
    assert.match(answer.headers['access-control-allow-headers'], /content-type/i);
  });

  test('any other is told nothing', async () => {
    for (const origin of ['http://evil.example', `${OTHER_ORIGIN}.evil.example`, 'null']) {
      assert.equal((await preflight(origin)).headers['access-control-allow-origin'], undefined, origin);
    }
  });

  test('any other, and null, may change nothing', async () => {
    for (const origin of ['http://evil.example', 'null', system.rest.replace('http:', 'https:'), `${system.rest}0`]) {
      const name = fresh();
      const answer = await request(`${system.rest}/register`, { method: 'POST', json: { userName: name }, headers: { origin } });
      assert.equal(answer.status, 403, origin);
      assert.equal(answer.headers['set-cookie'], undefined);
      assert.equal((await new Browser(system.rest).register(name)).status, 200);
    }
  });

  test('the same origin, and none, may', async () => {
    for (const headers of [{}, { origin: system.rest }, { origin: OTHER_ORIGIN }]) {
      const answer = await request(`${system.rest}/register`, { method: 'POST', json: { userName: fresh() }, headers });
      assert.equal(answer.status, 200);
    }
  });
});

describe('what is too much or unknown', () => {
  test('an unknown route is 404', async () => {
    assert.equal((await request(`${system.rest}/no-such-route`, { method: 'POST', json: {} })).status, 404);
  });

  test('a body that is too long is 413', async () => {
    const answer = await new Browser(system.rest).register('x'.repeat(3_000_000)).catch((error) => error);
    // The server may close before it has read all of it.
    assert.ok(answer.status === 413 || ['ECONNRESET', 'EPIPE'].includes(answer.code), answer.status ?? answer.code);
  });

  test('headers that are too long are 431', async () => {
    const answer = await request(`${system.rest}/verify-session`, { headers: { 'x-long': 'x'.repeat(70_000) } }).catch((error) => error);
    assert.ok(answer.status === 431 || ['ECONNRESET', 'EPIPE'].includes(answer.code), answer.status ?? answer.code);
  });
});
