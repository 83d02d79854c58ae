// The socket half of the contract, with the official client, over two replicas.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { sidOf, signedCookie, writeSession } from './support/express_session.mjs';
import { Browser, request } from './support/http.mjs';
import { announce, fence, fresh, join, Peer } from './support/peer.mjs';
import { OTHER_ORIGIN, System, notYet, onlySesior } from './support/system.mjs';

let system;
before(async () => (system = await System.start()));
after(() => system?.stop());

const close = (...users) => users.forEach(({ peer }) => peer.close());
const isError = (answer) => {
  assert.equal(typeof answer[0], 'string');
  assert.ok(answer[0].length > 0);
};

describe('connecting', () => {
  test('without a valid session ends in CONNECT_ERROR "Not authorized"', async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const forged = browser.cookie.slice(0, -1) + (browser.cookie.endsWith('A') ? 'B' : 'A');
    for (const cookie of [null, forged, signedCookie('B'.repeat(32)), 'connect.sid=x']) {
      for (const replica of system.realtime) {
        await assert.rejects(Peer.open(replica, cookie), { message: 'Not authorized' }, String(cookie));
      }
    }
  });

  test('after the logout is not authorized', async () => {
    const browser = new Browser(system.rest);
    await browser.register(fresh());
    const { cookie } = browser;
    await browser.post('/logout');
    await assert.rejects(Peer.open(system.realtime[0], cookie), { message: 'Not authorized' });
  });

  test('works from a listed origin and from none, and from no other', async () => {
    const { name, browser, peer } = await join(system);
    const from = (origin) => Peer.open(system.realtime[1], browser.cookie, { extraHeaders: { origin } });
    for (const origin of [OTHER_ORIGIN, system.rest, system.realtime[1]]) (await from(origin)).close();
    for (const origin of ['http://evil.example', 'null', `${system.rest}0`]) {
      await assert.rejects(from(origin), (error) => error.message !== 'Not authorized', `${name} from ${origin}`);
    }
    peer.close();
  });

  test('gives each connection an id of its own', async () => {
    const { name, browser, peer } = await join(system);
    const other = await announce(system, browser, name, 1);
    assert.notEqual(peer.socket.id, other.socket.id);
    close({ peer }, { peer: other });
  });
});

describe('GET /socket.io/socket.io.js', () => {
  test('serves the official client, and 304 when it is known', async () => {
    const url = `${system.realtime[0]}/socket.io/socket.io.js`;
    const bundle = await request(url);
    assert.equal(bundle.status, 200);
    assert.match(bundle.headers['content-type'], /^application\/javascript/);
    assert.match(bundle.text, /^\/\*!\s*\n \* Socket\.IO v4/);
    const known = await request(url, { headers: { 'if-none-match': bundle.headers.etag } });
    assert.equal(known.status, 304);
    assert.equal(known.text, '');
  });

  test('serves the smaller bundles, and nothing else', async () => {
    for (const file of ['socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js', 'socket.io.js.map']) {
      assert.equal((await request(`${system.realtime[1]}/socket.io/${file}`)).status, 200, file);
    }
    for (const path of ['/socket.io/../package.json', '/socket.io/..%2fpackage.json', '/socket.io/other.js']) {
      assert.ok((await request(system.realtime[0], { path })).status >= 400, path);
    }
  });
});

describe('user:connected', () => {
  test('is acknowledged with everybody online, on both replicas, and told to the others', async () => {
    const ann = await join(system, { replica: 0 });
    const bob = await join(system, { replica: 1 });
    assert.deepEqual(bob.peer.users[ann.name], { userName: ann.name });
    assert.deepEqual(bob.peer.users[bob.name], { userName: bob.name });
    assert.deepEqual(await ann.peer.next('user:joined', (e) => e.userName === bob.name), { userName: bob.name });
    const own = (await fence(bob.peer, ann)).filter((e) => e.name === 'user:joined' && e.data.userName === bob.name);
    assert.deepEqual(own, []);
    close(ann, bob);
  });

  test('refuses any other name, and tells nobody', async () => {
    const ann = await join(system, { replica: 0 });
    const browser = new Browser(system.rest);
    const name = fresh();
    await browser.register(name);
    const peer = await Peer.open(system.realtime[1], browser.cookie);
    for (const other of [ann.name, fresh(), '', name.toUpperCase(), null, 5, { userName: name }, undefined]) {
      const answer = await peer.ask('user:connected', other);
      isError(answer);
      assert.equal(answer[1] ?? null, null);
    }
    const bob = await join(system, { replica: 1 });
    assert.deepEqual((await fence(ann.peer, bob)).filter((e) => e.data.userName === name), []);
    const [error, users] = await peer.ask('user:connected', name);
    assert.equal(error, null);
    assert.deepEqual(users[name], { userName: name });
    close(ann, bob, { peer });
  });

  test('is an error for a session without a name, until it registers', async () => {
    const { cookie } = await writeSession(system, { visits: 1 });
    const peer = await Peer.open(system.realtime[0], cookie);
    isError(await peer.ask('user:connected', 'somebody'));
    isError(await peer.ask('user:rename', 'somebody'));
    peer.close();
    const browser = new Browser(system.rest);
    browser.cookie = cookie;
    const name = fresh();
    await browser.register(name);
    (await announce(system, browser, name, 0)).close();
  });

  test('works for a session that Express wrote, when its name is free', async () => {
    const userName = fresh('express');
    const { cookie } = await writeSession(system, { userName });
    const peer = await Peer.open(system.realtime[1], cookie);
    const [error, users] = await peer.ask('user:connected', userName);
    assert.equal(error, null);
    assert.deepEqual(users[userName], { userName });
    peer.close();
  });

  test('is an error when another session owns the name that Express wrote', onlySesior, async () => {
    const ann = await join(system);
    const { cookie } = await writeSession(system, { userName: ann.name });
    assert.deepEqual((await request(`${system.rest}/verify-session`, { cookie })).json.user, { userName: ann.name });
    const peer = await Peer.open(system.realtime[1], cookie);
    isError(await peer.ask('user:connected', ann.name));
    close(ann, { peer });
  });
});

describe('user:rename', () => {
  test('changes the session, is acknowledged, and told to all others on both replicas', async () => {
    const ann = await join(system, { replica: 0 });
    const near = await join(system, { replica: 0 });
    const far = await join(system, { replica: 1 });
    const second = await announce(system, ann.browser, ann.name, 1);
    const name = fresh();
    const renamed = { oldUserName: ann.name, user: { userName: name } };

    assert.deepEqual(await ann.peer.ask('user:rename', name), [null, renamed]);
    for (const peer of [near.peer, far.peer, second]) {
      assert.deepEqual(await peer.next('user:renamed', (e) => e.oldUserName === ann.name), renamed);
    }
    assert.equal((await ann.browser.get('/verify-session')).json.user.userName, name);
    assert.deepEqual((await request(`${system.rest}/users`)).json.users[name], { userName: name });
    const own = (await fence(ann.peer, far)).filter((e) => e.name === 'user:renamed' && e.data.user.userName === name);
    assert.deepEqual(own, []);
    close(ann, near, far, { peer: second });
  });

  test('frees the old name and holds the new one', async () => {
    const ann = await join(system);
    const old = ann.name;
    const name = fresh();
    await ann.peer.ask('user:rename', name);
    assert.equal((await new Browser(system.rest).register(name)).status, 409);
    assert.equal((await new Browser(system.rest).register(old)).status, 200);
    close(ann);
  });

  test('trims the name', async () => {
    const ann = await join(system);
    const name = fresh();
    const [error, data] = await ann.peer.ask('user:rename', `\u00a0 ${name}\n`);
    assert.equal(error, null);
    assert.equal(data.user.userName, name);
    close(ann);
  });

  test('refuses a taken name and bad names, and changes nothing', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    assert.equal((await ann.peer.ask('user:rename', bob.name))[0], 'User already exists');
    for (const bad of ['', ' ', 'a'.repeat(65), 'a\u0000', null, 5, undefined, { userName: 'x' }, ['x']]) {
      isError(await ann.peer.ask('user:rename', bad));
    }
    assert.equal((await ann.browser.get('/verify-session')).json.user.userName, ann.name);
    assert.deepEqual((await fence(bob.peer, ann)).filter((e) => e.name === 'user:renamed'), []);
    close(ann, bob);
  });

  test('keeps the order of twenty sent at once', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    const names = Array.from({ length: 20 }, () => fresh());
    const answers = await Promise.all(names.map((name) => ann.peer.ask('user:rename', name)));
    const chain = [ann.name, ...names];
    answers.forEach(([error, data], i) => {
      assert.equal(error, null);
      assert.deepEqual(data, { oldUserName: chain[i], user: { userName: chain[i + 1] } });
    });
    for (let i = 0; i < names.length; ++i) {
      const { data } = { data: await bob.peer.next('user:renamed') };
      assert.deepEqual(data, { oldUserName: chain[i], user: { userName: chain[i + 1] } });
    }
    close(ann, bob);
  });

  test('has one winner when two sessions want one name on two replicas', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    for (let round = 0; round < 10; ++round) {
      const name = fresh();
      const answers = await Promise.all([ann.peer.ask('user:rename', name), bob.peer.ask('user:rename', name)]);
      const won = answers.filter(([error]) => error === null).length;
      assert.equal(won, 1, JSON.stringify(answers));
    }
    close(ann, bob);
  });

  test('loses nothing of what REST writes at the same time', onlySesior, async () => {
    const ann = await join(system);
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => [
        ann.peer.ask('user:rename', fresh()),
        ann.browser.send('PATCH', '/session', { json: { [`m${i}`]: i } }),
      ]).flat(),
    );
    const { json } = await ann.browser.get('/session');
    assert.equal(Object.keys(json).filter((member) => member.startsWith('m')).length, 10);
    close(ann);
  });

  test('without an acknowledgement works as well', async () => {
    const [ann, bob] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    const name = fresh();
    ann.peer.socket.emit('user:rename', name);
    assert.equal((await bob.peer.next('user:renamed')).user.userName, name);
    close(ann, bob);
  });
});

describe('an unknown event', () => {
  test('does no harm', async () => {
    const ann = await join(system);
    ann.peer.socket.emit('no:such:event', { a: [1, 2] });
    ann.peer.socket.emit('user:joined', { userName: 'nobody' });
    assert.equal((await ann.peer.ask('user:rename', fresh()))[0], null);
    close(ann);
  });
});

describe('POST /logout', () => {
  test("ends the session's sockets on both replicas and no others", async () => {
    const ann = await join(system, { replica: 0 });
    const second = await announce(system, ann.browser, ann.name, 1);
    const [near, far] = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];

    assert.equal((await ann.browser.post('/logout')).status, 204);
    assert.equal(await ann.peer.gone(), 'io server disconnect');
    assert.equal(await second.gone(), 'io server disconnect');
    for (const peer of [near.peer, far.peer]) {
      assert.equal(await peer.next('user:left', (name) => name === ann.name, 1500), ann.name);
    }
    const again = (await fence(near.peer, far)).filter((e) => e.name === 'user:left' && e.data === ann.name);
    assert.deepEqual(again, []);
    assert.equal(near.peer.disconnected, null);
    assert.equal(far.peer.disconnected, null);
    close(near, far);
  });

  test("ends the sockets also when another application deletes the record", notYet('needs the feed of foreign changes'), async () => {
    const ann = await join(system, { replica: 1 });
    const bob = await join(system, { replica: 0 });
    await system.redisCli('DEL', `sess:${sidOf(ann.browser.cookie)}`);
    assert.equal(await ann.peer.gone(), 'io server disconnect');
    await bob.peer.next('user:left', (name) => name === ann.name);
    close(bob);
  });
});
