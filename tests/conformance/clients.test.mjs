// The official client, unmodified, in each way it can travel: with its defaults (long-polling, then an upgrade), by
// long-polling alone, by WebSocket alone, and through an upgrade while messages go both ways.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { io } from 'socket.io-client';

import { within } from './support/engine.mjs';
import { Target } from './support/target.mjs';

const PATIENCE_MS = 10_000;

let target;
// The suites' heartbeat leaves a client 200 ms for an answer; here a busy machine must not matter.
const calm = ['--ping-interval-ms', '2000', '--ping-timeout-ms', '10000'];
before(async () => (target = await Target.start({ flags: calm })));
after(() => target?.stop());

const sockets = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.disconnect()));
const open = (options = {}) => {
  const socket = io(`${target.origin}/clients`, { forceNew: true, reconnectionDelay: 50, ...options });
  sockets.push(socket);
  return socket;
};
const event = (emitter, name) => within(new Promise((resolve) => emitter.once(name, (...args) => resolve(args))), `"${name}"`, PATIENCE_MS);
const connect = async (options) => {
  const socket = open(options);
  await event(socket, 'connect');
  return socket;
};
const ask = (socket, ...args) => socket.timeout(PATIENCE_MS).emitWithAck(...args);

const bytes = (n, fill) => Buffer.alloc(n, fill);

for (const [how, options] of [
  ['its defaults', {}],
  ['long-polling alone', { transports: ['polling'] }],
  ['WebSocket alone', { transports: ['websocket'] }],
]) {
  describe(`the official client by ${how}`, () => {
    test('connects, and travels as it was told', async () => {
      const socket = open(options);
      const upgraded = options.transports ? Promise.resolve() : new Promise((resolve) => socket.io.once('open', () => socket.io.engine.once('upgrade', resolve)));
      await event(socket, 'connect');
      await within(upgraded, 'the upgrade', PATIENCE_MS);
      assert.equal(socket.io.engine.transport.name, options.transports?.[0] ?? 'websocket');
    });

    test('exchanges events and acknowledgements, both ways, binary too', async () => {
      const socket = await connect(options);
      const blob = bytes(300, 7);
      const values = [1, -0.5, 'x€😀', null, true, { deep: [{ blob }] }, []];
      const echo = event(socket, 'echoed');
      socket.emit('echo', ...values);
      assert.deepEqual(await echo, values);
      assert.deepEqual(await ask(socket, 'ask', { blob }), { blob });
      socket.on('question', (what, answer) => answer('for', what));
      const answered = event(socket, 'answered');
      socket.emit('ask me', 42);
      assert.deepEqual(await answered, [['for', 42]]);
    });

    test('reaches rooms and leaves them', async () => {
      const [ann, bob, cid] = await Promise.all([connect(options), connect(options), connect(options)]);
      assert.equal(await ask(bob, 'join', 'room'), true);
      const heard = [];
      for (const socket of [ann, bob, cid]) socket.on('said', (what) => heard.push([socket, what]));
      ann.emit('say', 'room', 'to the room');
      await event(bob, 'said');
      await ask(bob, 'leave', 'room');
      ann.emit('say', 'room', 'to nobody');
      ann.emit('say', null, 'to all');
      await Promise.all([event(bob, 'said'), event(cid, 'said')]);
      assert.deepEqual(new Set(heard.map(([socket, what]) => `${socket === bob ? 'bob' : socket === cid ? 'cid' : 'ann'} ${what}`)),
        new Set(['bob to the room', 'bob to all', 'cid to all']));
      assert.equal(heard.length, 3);
    });

    test('is told when the server ends it, and when a namespace is refused', async () => {
      const socket = await connect(options);
      socket.emit('kick');
      assert.equal((await event(socket, 'disconnect'))[0], 'io server disconnect');
      const refused = io(`${target.origin}/nowhere`, { forceNew: true, ...options });
      sockets.push(refused);
      assert.equal((await event(refused, 'connect_error'))[0].message, 'Invalid namespace');
    });

    test('loses nothing of a thousand messages each way', async () => {
      const socket = await connect(options);
      const got = [];
      const all = new Promise((resolve) => socket.on('echoed', (i) => got.push(i) === 1000 && resolve()));
      for (let i = 0; i < 1000; ++i) socket.emit('echo', i);
      await within(all, 'a thousand echoes', PATIENCE_MS);
      assert.deepEqual(got, Array.from({ length: 1000 }, (_, i) => i));
    });

    test('comes back by itself after its connection was lost', async () => {
      const socket = await connect(options);
      const { id } = socket;
      const lost = event(socket, 'disconnect');
      socket.io.engine.close();
      await lost;
      await event(socket, 'connect');
      assert.notEqual(socket.id, id);
      assert.equal(await ask(socket, 'ask', 1), 1);
    });
  });
}

// A way to the server on which WebSockets are slow: each piece takes `delayMs` more. So there is time for traffic by
// long-polling before, during and after each step of an upgrade.
async function slowWebSockets(delayMs) {
  const { hostname, port } = new URL(target.origin);
  const proxy = net.createServer((client) => {
    const server = net.connect(Number(port), hostname);
    for (const [from, to] of [[client, server], [server, client]]) {
      from.on('error', () => to.destroy());
      from.on('end', () => to.end());
    }
    let slow = false;
    client.on('data', (bytes) => {
      slow ||= bytes.includes('transport=websocket');
      if (slow) setTimeout(() => server.write(bytes), delayMs);
      else server.write(bytes);
    });
    server.on('data', (bytes) => client.write(bytes));
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxy.origin = `http://127.0.0.1:${proxy.address().port}`;
  return proxy;
}

// Each client sends without a pause from the moment it is connected, by long-polling, until well after its upgrade.
// Everything comes back, once and in order, whichever way it went.
for (const delayMs of [1, 5, 20, 60]) {
  test(`an upgrade in the middle of traffic loses, repeats and reorders nothing (${delayMs} ms a step)`, async () => {
    const proxy = await slowWebSockets(delayMs);
    const run = async () => {
      const socket = io(`${proxy.origin}/clients`, { forceNew: true });
      sockets.push(socket);
      const got = [];
      let sent = 0;
      let upgradedAt = Infinity;
      socket.io.on('open', () => socket.io.engine.on('upgrade', () => (upgradedAt = sent)));
      socket.on('echoed', (i, blob) => got.push([i, blob]));
      await event(socket, 'connect');
      const deadline = Date.now() + PATIENCE_MS;
      while (sent < upgradedAt + 100) {
        assert.ok(Date.now() < deadline, 'it was not upgraded');
        for (let i = 0; i < 3; ++i, ++sent) {
          if (sent % 7 === 0) socket.emit('echo', sent, bytes(sent % 50, sent % 251));
          else socket.emit('echo', sent);
        }
        await sleep(1);
      }
      assert.equal(socket.io.engine.transport.name, 'websocket');
      assert.equal(await ask(socket, 'ask', 'the end'), 'the end');
      assert.equal(got.length, sent);
      got.forEach(([i, blob], at) => {
        assert.equal(i, at);
        if (i % 7 === 0) assert.deepEqual(blob, bytes(i % 50, i % 251));
        else assert.equal(blob, undefined);
      });
      return upgradedAt;
    };
    const before = await Promise.all(Array.from({ length: 8 }, run));
    proxy.close();
    assert.ok(Math.max(...before) > 0, 'nothing was sent by long-polling');
  });
}
