// The faults. Each is done to a world under load and undone; what the load saw is judged by judge().
//
// `open`: what may not be as it should be yet, and why; see the README. Nothing is ever allowed to be doubled, no
// acknowledged write to be lost (but in a failover to a replica that lags), nothing to stay broken.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { until } from '../e2e/support/wait.mjs';
import { DRAIN_RATE } from './world.mjs';

// Spoils the ways of a kind for a while.
const way = (kind, spoil, ms) => async (world) => {
  await Promise.all(world.ways[kind].map(spoil));
  await sleep(ms);
  await world.heal();
};

const hang = (processes, ms) => async (world) => {
  const chosen = processes(world);
  chosen.forEach((process) => process.signal('SIGSTOP'));
  await sleep(ms);
  chosen.forEach((process) => process.signal('SIGCONT'));
};

const kill = (choose, signal = 'SIGKILL') => async (world) => {
  const process = choose(world);
  await process.end(signal);
  await sleep(300);
  await process.start();
};

const between = (kind, what) => [
  { name: `${what}: connections cut`, run: way(kind, (proxy) => proxy.cut(), 200) },
  { name: `${what}: refused for 2 s`, run: way(kind, (proxy) => proxy.refuse(), 2000) },
  { name: `${what}: black hole for 3 s`, run: way(kind, (proxy) => proxy.blackHole(), 3000) },
  { name: `${what}: answers stalled for 3 s`, run: way(kind, (proxy) => proxy.stall(), 3000) },
  { name: `${what}: 100 ms of delay for 2 s`, run: way(kind, (proxy) => proxy.delay(100), 2000) },
  { name: `${what}: cut after 20 KB each for 2 s`, run: way(kind, (proxy) => proxy.cutAfter(20_000), 2000) },
];

// A WebSocket that is opened and never read again.
function neverReads(url, cookie) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, onread: undefined });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.write(`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\n` +
        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        `Cookie: ${cookie}\r\n\r\n`);
      socket.once('data', () => {
        socket.pause();
        socket.write(Buffer.concat([Buffer.from([0x81, 0x82, 0, 0, 0, 0]), Buffer.from('40')]));  // CONNECT, masked by zeros
        resolve(socket);
      });
    });
    socket.on('error', () => {});
  });
}

// One handshake by long-polling; its status, or what happened to it.
function handshake(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: flood\r\nConnection: close\r\n\r\n');
    });
    socket.once('data', (data) => {
      resolve(Number(data.toString().slice(9, 12)));
      socket.destroy();
    });
    socket.once('error', () => resolve('error'));
    socket.once('close', () => resolve('closed'));
  });
}

export const FAULTS = [
  { name: 'nothing at all', run: () => sleep(2000) },
  ...between('client', 'clients to realtime'),
  ...between('session', 'realtime to session'),
  ...between('redis', 'session to Redis'),
  { name: 'realtime killed', run: kill((world) => world.realtime[0]) },
  { name: 'session killed', run: kill((world) => world.session[0]) },
  { name: 'Redis killed, back with its data', run: kill((world) => world.redis[0]) },
  { name: 'Redis restarted in order', run: kill((world) => world.redis[0], 'SIGTERM') },
  { name: 'realtime hangs for 2 s', run: hang((world) => [world.realtime[1]], 2000) },
  { name: 'session hangs for 3 s', run: hang((world) => [world.session[1]], 3000) },
  { name: 'Redis hangs for 3 s', run: hang((world) => world.redis, 3000) },
  {
    name: 'four clients never read',
    run: async (world, load) => {
      const sockets = await Promise.all(load.users.slice(0, 4).map(({ browser }) => neverReads(world.url, browser.cookie)));
      await sleep(3000);
      sockets.forEach((socket) => socket.destroy());
    },
  },
  {
    name: 'a flood of 1,500 handshakes',
    run: async (world) => {
      const port = world.ways.client[0].port;
      const answers = await Promise.all(Array.from({ length: 1500 }, () => handshake(port)));
      const count = (status) => answers.filter((answer) => answer === status).length;
      return `${count(200)} let in, ${count(503)} told to wait`;
    },
    also: ({ notes }) => (/ [1-9]\d* told to wait/.test(notes) ? [] : ['nobody was told to wait']),
  },
  {
    name: 'all replicas of realtime restarted in turn',
    run: async (world) => {
      for (const process of world.realtime) {
        const how = await process.restart('SIGTERM');
        if (how !== 0) throw new Error(`${process.name} ended with ${how}`);
        await sleep(500);
      }
    },
    // Clients wait a random time, and this program may be late itself; without a pace all would come at once.
    also: ({ reconnects }) => (reconnects <= 3 * DRAIN_RATE ? [] : [`${reconnects} reconnects in a second (${DRAIN_RATE} closed)`]),
  },
  {
    name: 'all replicas of session restarted in turn',
    run: async (world) => {
      for (const process of world.session) {
        const how = await process.restart('SIGTERM');
        if (how !== 0) throw new Error(`${process.name} ended with ${how}`);
        await sleep(500);
      }
    },
  },
];

// In a world of its own, since it ends with another primary.
export const FAILOVER = {
  name: 'the primary dies; Sentinels take a replica that lags',
  run: async (world) => {
    // The replica hears nothing for a while, and so lacks what was acknowledged meanwhile.
    world.redis[1].signal('SIGSTOP');
    await sleep(700);
    await world.redis[0].end('SIGKILL');
    world.redis[1].signal('SIGCONT');
    await until('both session replicas to serve again', async () =>
      (await Promise.all(world.session.map((process) => process.ready()))).every(Boolean), 40_000);
    return 'writes of the last moments may be gone with the primary';
  },
  open: 'the lagging replica uses numbers again; that what was lost is always announced has been seen, not proven',
  lag: true,
};

// What is wrong about a round; none: as promised.
export function judge(fault, result) {
  const wrong = [...result.doubled];
  if (!fault.lag) wrong.push(...result.wrongNames);
  if (result.recoveredAfter === null) wrong.push('it did not recover');
  if (!fault.open) wrong.push(...result.silent);
  if (result.acked < 20) wrong.push(`only ${result.acked} writes were acknowledged: too few to prove anything`);
  wrong.push(...(fault.also?.(result) ?? []));
  return wrong;
}
