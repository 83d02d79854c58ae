// A backend emits to users and sessions over gRPC: their official clients, on each realtime replica, get it; nobody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import sesiorModule from '../../libs/clients/node/index.js';
import { Peer } from '../e2e/support/peer.mjs';
import { System } from '../e2e/support/system.mjs';
import { until } from '../e2e/support/wait.mjs';

let system;
let sesior;
before(async () => {
  system = await System.start();
  sesior = new sesiorModule.Sesior({ addresses: system.session });
});
after(async () => {
  sesior?.close();
  await system?.stop();
});

async function session(userId) {
  const made = await sesior.createSession({ userId });
  return { id: made.session.id, cookie: made.setCookie.split(';')[0] };
}
const open = (replica, { cookie }) => Peer.open(system.realtime[replica], cookie);

// What each peer got of "news" before now: a namespace has one order, so all of it is before the mark.
let marks = 0;
async function newsOf(...peers) {
  const mark = `mark ${++marks}`;
  await sesior.emit('mark', [mark]);
  return Promise.all(
    peers.map(async (peer) => {
      const seen = [];
      await until('the mark', () => {
        seen.push(...peer.take());
        return seen.some(({ data }) => data === mark);
      });
      return seen.filter(({ name }) => name === 'news').map(({ data }) => data);
    }),
  );
}

test('an emit reaches the sockets of users, sessions and rooms on every replica, once, and no others', async () => {
  const [ann1, ann2, bob, nobody] = [await session('ann'), await session('ann'), await session('bob'), await session()];
  const peers = [await open(0, ann1), await open(1, ann2), await open(0, bob), await open(1, bob), await open(0, nobody)];
  const toAnn = { userIds: ['ann'], requestId: 'emit-once' };
  const position = await sesior.emit('news', ['for ann'], toAnn);
  assert.deepEqual(await sesior.emit('news', ['for ann'], toAnn), position, 'the same request again');
  await sesior.emit('news', ['for one session'], { sessionIds: [bob.id] });
  await sesior.emit('news', ['for both kinds'], { userIds: ['ann'], sessionIds: [ann1.id, nobody.id], rooms: [peers[2].socket.id] });
  await sesior.emit('news', ['for all but one'], { except: [peers[3].socket.id] });
  await sesior.emit('news', ['for nobody'], { userIds: ['an', 'annn', '*'], sessionIds: ['B'.repeat(32), ann1.id.slice(1)] });
  assert.deepEqual(await newsOf(...peers), [
    ['for ann', 'for both kinds', 'for all but one'],
    ['for ann', 'for both kinds', 'for all but one'],
    ['for one session', 'for both kinds', 'for all but one'],
    ['for one session'],
    ['for both kinds', 'for all but one'],
  ]);
  for (const peer of peers) peer.close();
});

test('an emit carries every argument, binary ones too', async () => {
  const cy = await session('cy');
  const peer = await open(1, cy);
  const got = new Promise((resolve) => peer.socket.once('news', (...args) => resolve(args)));
  await sesior.emit('news', [1, { a: [null, 'ä"\u2028'] }, Buffer.from([1, 2, 255])], { userIds: ['cy'] });
  const args = await got;
  assert.deepEqual(args.slice(0, 2), [1, { a: [null, 'ä"\u2028'] }]);
  assert.deepEqual([...args[2]], [1, 2, 255]);
  peer.close();
});

test('a session that gets its user while its sockets stand is reached by it', async () => {
  const late = await session();
  const peer = await open(0, late);
  await sesior.updateSession(late.id, {}, { userIdIfNone: 'late' });
  let tries = 0;
  await until('the news', async () => {
    await sesior.emit('news', [++tries], { userIds: ['late'] });
    return (await newsOf(peer))[0].length > 0;
  });
  peer.close();
});

test('what is no event is refused, and names its field', async () => {
  const refused = async (...args) => sesior.emit(...args).then(() => assert.fail('it was taken'), ({ code, field }) => [code, field]);
  assert.deepEqual(await refused(''), ['INVALID_ARGUMENT', 'event']);
  assert.deepEqual(await refused('disconnect'), ['INVALID_ARGUMENT', 'broadcast.packet.args_json']);
  assert.deepEqual(await refused('news', [], { userIds: ['a b'] }), ['INVALID_ARGUMENT', 'user_ids']);
  assert.deepEqual(await refused('news', [], { sessionIds: [''] }), ['INVALID_ARGUMENT', 'session_ids']);
});
