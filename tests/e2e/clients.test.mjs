// Clients that are not ours, unmodified, with a session: the official one by each transport, and Debian's
// python3-socketio. What they share with each other is the example application, over two replicas.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join as path } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Browser } from './support/http.mjs';
import { fresh, join, Peer } from './support/peer.mjs';
import { System } from './support/system.mjs';
import { until } from './support/wait.mjs';

let system;
before(async () => (system = await System.start()));
after(() => system?.stop());

// A registered user whose client travels as `options` say; connected and announced.
async function announced(options, replica) {
  const browser = new Browser(system.rest);
  const name = fresh();
  await browser.register(name);
  const peer = await Peer.open(system.realtime[replica], browser.cookie, options);
  const [error] = await peer.ask('user:connected', name);
  assert.equal(error, null);
  return { name, browser, peer };
}

// Renames `user` to each of `names`, without waiting for one before the next; all must be acknowledged in order.
async function renameAll(user, names) {
  const answers = await Promise.all(names.map((name) => user.peer.ask('user:rename', name)));
  [user.name, ...names.slice(0, -1)].forEach((oldUserName, i) =>
    assert.deepEqual(answers[i], [null, { oldUserName, user: { userName: names[i] } }]));
}

// The names that `watcher` sees a user called `first` take, until it is called `last`.
async function namesSeen(watcher, first, last) {
  const seen = [];
  await until(`the rename to ${last}`, () => {
    for (const { name, data } of watcher.peer.take()) {
      if (name === 'user:renamed' && data.oldUserName === (seen.at(-1) ?? first)) seen.push(data.user.userName);
    }
    return seen.at(-1) === last;
  });
  return seen;
}

for (const [how, options] of [
  ['its defaults', { transports: ['polling', 'websocket'] }],
  ['long-polling alone', { transports: ['polling'] }],
  ['WebSocket alone', { transports: ['websocket'] }],
]) {
  describe(`the official client by ${how}`, () => {
    test('is let in with its session, and only with it', async () => {
      const { peer } = await announced(options, 0);
      if (options.transports.includes('websocket')) {
        await until('the WebSocket', () => peer.socket.io.engine.transport.name === 'websocket');
      } else {
        assert.equal(peer.socket.io.engine.transport.name, 'polling');
      }
      peer.close();
      await assert.rejects(Peer.open(system.realtime[1], null, options), { message: 'Not authorized' });
    });

    // With the defaults the first of them go by long-polling and the rest by the WebSocket.
    test('sends and receives everything, in order, over both replicas', async () => {
      const watchers = [await announced(options, 0), await announced(options, 1)];
      const ann = await announced(options, 0);
      const first = ann.name;
      const names = Array.from({ length: 60 }, () => fresh());
      await renameAll(ann, names);
      for (const watcher of watchers) assert.deepEqual(await namesSeen(watcher, first, names.at(-1)), names);
      [ann, ...watchers].forEach(({ peer }) => peer.close());
    });

    test('is ended by the logout of its session', async () => {
      const { browser, peer } = await announced(options, 1);
      assert.equal((await browser.post('/logout')).status, 204);
      assert.equal(await peer.gone(), 'io server disconnect');
    });
  });
}

describe("Debian's python3-socketio", () => {
  const script = path(dirname(fileURLToPath(import.meta.url)), 'python/client.py');
  for (const kind of ['sync', 'asyncio']) {
    for (const way of ['default', 'polling', 'websocket']) {
      test(`${kind}, ${way}`, async () => {
        const ann = await join(system, { replica: 0 });
        const browser = new Browser(system.rest);
        const name = fresh('python');
        await browser.register(name);
        const next = fresh('python');
        // Debian's Python, which has the package; another may come first on the path. -I: no packages of the user's.
        const python = spawn('timeout', ['60', '/usr/bin/python3', '-I', script, kind, way, system.realtime[1], browser.cookie, name, next], {
          stdio: ['pipe', 'ignore', 'pipe'],
        });
        let errors = '';
        python.stderr.on('data', (text) => (errors += text));
        const exit = once(python, 'exit');
        const peerSees = (event, fits) => Promise.race([ann.peer.next(event, fits, 30_000), exit.then(() => Promise.reject(new Error(errors)))]);
        await peerSees('user:joined', (e) => e.userName === name);
        assert.deepEqual(await peerSees('user:renamed', (e) => e.oldUserName === name), { oldUserName: name, user: { userName: next } });
        await renameAll(ann, [`heard by ${next}`]);
        assert.equal((await exit)[0], 0, errors);
        await ann.peer.next('user:left', (e) => e === next);
        ann.peer.close();
      });
    }
  }
});
