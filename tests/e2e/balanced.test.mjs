// Any request on any replica: three of them behind a balancer that sends every request to the next one.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Balancer } from './support/balancer.mjs';
import { Browser, request } from './support/http.mjs';
import { fresh, Peer } from './support/peer.mjs';
import { System, onlySesior } from './support/system.mjs';
import { until } from './support/wait.mjs';

let system;
let balancer;
before(async () => {
  system = await System.start(['--realtime', '3']);
  balancer = await Balancer.start(system.realtime);
});
after(async () => {
  balancer?.stop();
  await system?.stop();
});

const POLLING = { transports: ['polling'] };

async function signIn(options, url = balancer.url) {
  const browser = new Browser(system.rest);
  const name = fresh();
  assert.equal((await browser.register(name)).status, 200);
  const peer = await Peer.open(url, browser.cookie, options);
  const [error] = await peer.ask('user:connected', name);
  assert.equal(error, null);
  return { browser, name, peer };
}

const rename = async (user) => {
  const name = fresh();
  const [error] = await user.peer.ask('user:rename', name);
  assert.equal(error, null);
  user.name = name;
  return name;
};

// All of these renames, in any order: they were made at once.
async function sees(user, names) {
  const missing = new Set(names);
  await until('every rename', () => {
    for (const { name, data } of user.peer.take()) if (name === 'user:renamed') missing.delete(data.user.userName);
    return missing.size === 0;
  });
}

const transportOf = (user) => user.peer.socket.io.engine.transport.name;

// The engine id of a connection, and one request with it.
const sidOf = (user) => user.peer.socket.io.engine.id;
const poll = (url, sid, options) => request(`${url}/socket.io/?EIO=4&transport=polling&sid=${encodeURIComponent(sid)}`, options);
const UNKNOWN = { code: 1, message: 'Session ID unknown' };

describe('three replicas without sticky balancing', { ...onlySesior, timeout: 120_000 }, () => {
  test('serve clients that only poll, in both directions', async () => {
    const users = await Promise.all([signIn(POLLING), signIn(POLLING), signIn(POLLING)]);
    for (let round = 0; round < 5; ++round) {
      const names = await Promise.all(users.map(rename));
      for (const [i, user] of users.entries()) await sees(user, names.toSpliced(i, 1));
    }
    for (const user of users) assert.equal(transportOf(user), 'polling');
    for (const count of balancer.counts) assert.ok(count > 10, `requests: ${balancer.counts}`);
    for (const user of users) user.peer.close();
  });

  test('take binary arguments by polling', async () => {
    const user = await signIn(POLLING);
    const [error] = await user.peer.ask('user:rename', Buffer.alloc(50_000, 7));
    assert.equal(typeof error, 'string');  // bytes are no name; the answer came all the same
    await rename(user);
    user.peer.close();
  });

  test('let clients upgrade while messages flow', async () => {
    const watcher = await signIn(POLLING);
    const user = await signIn({ transports: ['polling', 'websocket'] });
    const names = [];
    for (let i = 0; i < 20; ++i) names.push(await rename(user));
    await until('the upgrade', () => transportOf(user) === 'websocket');
    for (let i = 0; i < 5; ++i) names.push(await rename(user));
    for (const name of names) await watcher.peer.next('user:renamed', (e) => e.user.userName === name);
    assert.equal(user.peer.disconnected, null);
    const told = await rename(watcher);
    await user.peer.next('user:renamed', (e) => e.user.userName === told);
    for (const { peer } of [user, watcher]) peer.close();
  });

  test('answer a forged engine id with error code 1', async () => {
    const user = await signIn(POLLING);
    const [replica, thread] = sidOf(user).split('.');
    const random = '0123456789abcdef'.repeat(2);
    for (const url of system.realtime) {
      for (const sid of [
        `${replica}.${thread}.${random}`, `${replica}.61.${random}`, `nobody.0.${random}`, `127.0.0.1:1.0.${random}`, 'x', '..',
      ]) {
        const answer = await poll(url, sid);
        assert.equal(answer.status, 400, sid);
        assert.deepEqual(answer.json, UNKNOWN, sid);
      }
    }
    await rename(user);
    user.peer.close();
  });

  test('answer with error code 1 at once when the owner is killed, and go on', async () => {
    // Two who stay and one on each replica: whatever dies, somebody's session is there.
    const users = await Promise.all(system.realtime.map((url) => signIn(POLLING, url)));
    const lost = users[0];
    const sid = sidOf(lost);
    const waiting = poll(system.realtime[1], `${sid.split('.').slice(0, 2).join('.')}.${'0'.repeat(32)}`);
    assert.deepEqual((await waiting).json, UNKNOWN);
    system.signal('realtime', 'SIGKILL', 0);
    await lost.peer.gone();
    for (const url of system.realtime.slice(1)) {
      const begin = Date.now();
      const answer = await poll(url, sid);
      assert.equal(answer.status, 400);
      assert.deepEqual(answer.json, UNKNOWN);
      assert.ok(Date.now() - begin < 2000, `${Date.now() - begin} ms`);
    }
    // Who is on the others does not notice, and the balancer's next handshake works.
    for (const user of users.slice(1)) {
      assert.equal(user.peer.disconnected, null);
      await rename(user);
    }
    const again = await Peer.open(balancer.url, lost.browser.cookie, POLLING);
    const [error] = await again.ask('user:connected', lost.name);
    assert.equal(error, null);
    again.close();
    for (const { peer } of users.slice(1)) peer.close();
    await system.startEnded();
    // A replica that is new is found by the others at once.
    const late = await until('the replica to be back', () => signIn(POLLING, system.realtime[0]).catch(() => null), 20_000);
    late.peer.socket.io.uri = balancer.url;
    const target = sidOf(late);
    for (const url of system.realtime.slice(1)) assert.equal((await poll(url, target, { method: 'POST', body: '3' })).text, 'ok');
    late.peer.close();
  });
});
