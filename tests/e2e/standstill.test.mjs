// A realtime replica that stood still (SIGSTOP) finds what its clients sent meanwhile before the news of their sessions:
// nothing of a session that has ended is handled, and all of the others is.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { announce, join, Peer } from './support/peer.mjs';
import { onlySesior, System } from './support/system.mjs';
import { until } from './support/wait.mjs';

let system;
before(async () => (system = await System.start()));
after(() => system?.stop());

const STOP_MS = 1000;
const ROUNDS = 4;
const EVENTS = 20;

// Emits events that any live session is answered without an error; counts the answers.
function send(peer, name) {
  const sent = { handled: 0 };
  for (let i = 0; i < EVENTS; ++i) peer.socket.emit('user:connected', name, () => ++sent.handled);
  return sent;
}

const hasLeft = (peer) => until('the events to have left the client', () => peer.socket.io.engine.transport.ws.bufferedAmount === 0);

// Every thread stands: a signal takes its time on a busy machine.
const stands = (pid) => readdirSync(`/proc/${pid}/task`).every((task) => / T /.test(readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1')));

async function stopped(whatHappens) {
  const begin = performance.now();
  system.signal('realtime', 'SIGSTOP', 0);
  try {
    await until('the replica to stand', () => stands(system.pids.realtime[0]));
    await whatHappens();
    await sleep(Math.max(0, begin + STOP_MS - performance.now()));
  } finally {
    system.signal('realtime', 'SIGCONT', 0);
  }
}

test('handles no event of a session that ended while it stood still', { ...onlySesior, timeout: 120_000 }, async () => {
  const bob = await join(system, { replica: 0 });
  for (let round = 0; round < ROUNDS; ++round) {
    const ann = await join(system, { replica: 0 });
    const polling = await Peer.open(system.realtime[0], ann.browser.cookie, { transports: ['polling'] });
    const elsewhere = await announce(system, ann.browser, ann.name, 1);
    const peers = [ann.peer, polling, elsewhere];
    let sent;
    let ofBob;
    await stopped(async () => {
      assert.equal((await ann.browser.post('/logout')).status, 204);
      assert.equal(await elsewhere.gone(), 'io server disconnect', 'the other replica does not wait');
      sent = [send(ann.peer, ann.name), send(polling, ann.name)];
      ofBob = send(bob.peer, bob.name);
      await Promise.all([hasLeft(ann.peer), hasLeft(bob.peer)]);
    });
    for (const peer of peers) {
      assert.equal(await peer.gone(), 'io server disconnect');
      assert.deepEqual(await peer.next('session:ended'), { reason: 'logout' });
    }
    assert.deepEqual(sent, [{ handled: 0 }, { handled: 0 }]);
    await until('the events of the other session to be handled', () => ofBob.handled === EVENTS);
    assert.equal(bob.peer.disconnected, null);
  }
  bob.peer.close();
});

test('goes on by itself when the session service is away after it stood still', { ...onlySesior, timeout: 60_000 }, async () => {
  const ann = await join(system, { replica: 0 });
  await stopped(async () => {
    system.signal('session', 'SIGKILL');
  });
  const [error] = await ann.peer.ask('user:connected', ann.name, 15_000);
  assert.equal(typeof error, 'string');
  await system.startEnded();
  await until('the session to be served again', async () => (await ann.peer.ask('user:connected', ann.name))[0] === null, 20_000);
  assert.equal(ann.peer.disconnected, null);
  ann.peer.close();
});
