// Who is online: over several sockets of a session, over broken connections, over the death of a replica.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { request } from './support/http.mjs';
import { announce, fence, join } from './support/peer.mjs';
import { System } from './support/system.mjs';
import { until } from './support/wait.mjs';

const LINGER_MS = 2000;

let system;
let watcher;  // on replica 0, sees everything
let marker;   // on replica 1, sets fences
before(async () => {
  system = await System.start();
  watcher = await join(system, { replica: 0 });
  marker = await join(system, { replica: 1 });
});
after(() => {
  watcher?.peer.close();
  marker?.peer.close();
  return system?.stop();
});

const online = async () => (await request(`${system.rest}/users`)).json.users;
const newsOf = (events, name) =>
  events.filter((e) => e.data === name || e.data.userName === name).map((e) => e.name);

describe('a session with two sockets', () => {
  test('joins once, and leaves with the last of them, at once', async () => {
    const ann = await join(system, { replica: 0 });
    const second = await announce(system, ann.browser, ann.name, 1);
    assert.deepEqual(newsOf(await fence(watcher.peer, marker), ann.name), ['user:joined']);

    ann.peer.close();
    assert.deepEqual(newsOf(await fence(watcher.peer, marker), ann.name), []);
    assert.ok((await online())[ann.name]);

    second.close();
    await watcher.peer.next('user:left', (name) => name === ann.name, LINGER_MS - 500);
    assert.equal((await online())[ann.name], undefined);
  });

  test('announcing twice on one socket counts once', async () => {
    const ann = await join(system, { replica: 1 });
    assert.equal((await ann.peer.ask('user:connected', ann.name))[0], null);
    assert.deepEqual(newsOf(await fence(watcher.peer, marker), ann.name), ['user:joined']);
    ann.peer.close();
    await watcher.peer.next('user:left', (name) => name === ann.name);
  });
});

describe('a broken connection', () => {
  test('that comes back within the linger time, on another replica, is not noticed', async () => {
    const ann = await join(system, { replica: 0 });
    ann.peer.drop();
    await ann.peer.gone();
    const back = await announce(system, ann.browser, ann.name, 1);
    // Past the linger time of the first socket: a `left` that was wrong would have come by now.
    const lost = Date.now();
    const seen = [];
    await until('the linger time to pass', async () => {
      seen.push(...(await fence(watcher.peer, marker)));
      return Date.now() > lost + LINGER_MS + 1000;
    });
    assert.deepEqual(newsOf(seen, ann.name), ['user:joined']);
    assert.ok((await online())[ann.name]);
    back.close();
    await watcher.peer.next('user:left', (name) => name === ann.name);
  });

  test('that does not come back leaves after the linger time', async () => {
    const ann = await join(system, { replica: 1 });
    const lost = Date.now();
    ann.peer.drop();
    await watcher.peer.next('user:left', (name) => name === ann.name, LINGER_MS + 4000);
    assert.ok(Date.now() - lost >= LINGER_MS - 100, `${Date.now() - lost} ms`);
    assert.equal((await online())[ann.name], undefined);
  });
});

describe('a rename while online', () => {
  test('leaves under the new name', async () => {
    const ann = await join(system, { replica: 1 });
    const name = `${ann.name} renamed`;
    await ann.peer.ask('user:rename', name);
    ann.peer.close();
    await watcher.peer.next('user:left', (left) => left === name);
    assert.equal((await online())[name], undefined);
    assert.equal((await online())[ann.name], undefined);
  });
});

describe('a replica that is killed', () => {
  test('takes its users with it within 15 s, and nobody else', { timeout: 60_000 }, async () => {
    const gone = [await join(system, { replica: 1 }), await join(system, { replica: 1 })];
    const stays = await join(system, { replica: 0 });
    const both = await join(system, { replica: 0 });
    await announce(system, both.browser, both.name, 1);
    watcher.peer.take();

    system.signal('realtime', 'SIGKILL', 1);
    const left = [];
    await until('the users of the dead replica to leave', () => {
      left.push(...watcher.peer.take().filter((e) => e.name === 'user:left').map((e) => e.data));
      return left.length >= 3;  // the two, and the marker
    }, 15_000);
    assert.deepEqual(left.toSorted(), [...gone.map((u) => u.name), marker.name].toSorted());
    const names = Object.keys(await online());
    for (const user of [stays, both, watcher]) assert.ok(names.includes(user.name));
    assert.equal(stays.peer.disconnected, null);

    // Its users come back to the replica that is left, still signed in.
    const back = await announce(system, gone[0].browser, gone[0].name, 0);
    await watcher.peer.next('user:joined', (e) => e.userName === gone[0].name);
    for (const peer of [back, stays.peer, both.peer]) peer.close();
  });
});
