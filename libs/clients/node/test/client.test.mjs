// The client against a live service: two replicas, which are killed and come back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import { cookieOf, Service, until } from '../../../../tests/clients/service.mjs';
import sesiorModule from '../index.js';

const { Sesior, SesiorError } = sesiorModule;

let service;
let sesior;
before(async () => {
  service = await Service.start();
  sesior = new Sesior({ addresses: service.addresses });
});
after(async () => {
  sesior?.close();
  await service?.stop();
});

// What a call fails with.
async function failure(promise) {
  const error = await promise.then(() => assert.fail('it succeeded'), (reason) => reason);
  assert.ok(error instanceof SesiorError, String(error));
  return error;
}

// A client's connection to a replica that was away comes back in its own time.
const bothServe = (client) =>
  until('both to serve', async () => {
    const all = await client.health();
    return all.every(({ serving }) => serving) && all;
  });

test('makes, reads, changes and ends a session', async () => {
  const { session, setCookie } = await sesior.createSession({ data: { a: 1 }, userId: 'ann', idleTtlMs: 60_000 });
  assert.match(setCookie, /^connect\.sid=s%3A/);
  assert.deepEqual(session.data, { a: 1 });
  assert.ok(Math.abs(session.expireTime - Date.now() - 60_000) < 10_000);
  const header = `x=y; ${cookieOf(session.id)}`;
  const resolved = await sesior.resolveCookie(header, { touch: true });
  assert.equal(resolved.verdict, 'valid');
  assert.equal(resolved.session.userId, 'ann');
  assert.equal((await sesior.resolveCookie('connect.sid=s%3Ax.y')).verdict, 'forged');
  assert.equal((await sesior.resolveCookie(undefined)).verdict, 'absent');
  const changed = await sesior.updateSession({ cookie: header }, { b: 2, a: null }, { etag: session.etag });
  assert.deepEqual(changed.session.data, { b: 2 });
  assert.ok(changed.session.revision > session.revision);
  await sesior.touchSession(session.id);
  const next = await sesior.regenerateSession(session.id, { reason: 'login', patch: { c: 3 } });
  assert.deepEqual(next.session.data, { b: 2, c: 3 });
  assert.equal(await sesior.getSession(session.id), null);
  const { destroyed, clearCookie } = await sesior.destroySession(next.session.id);
  assert.equal(destroyed, true);
  assert.match(clearCookie, /Expires=Thu, 01 Jan 1970/);
  assert.equal((await sesior.destroySession(next.session.id)).destroyed, false);
});

test('reads many at once', async () => {
  const made = await Promise.all(Array.from({ length: 130 }, (_, n) => sesior.createSession({ data: { n } })));
  const ids = made.map(({ session }) => session.id);
  const found = await sesior.getSessions([...ids, ids[0], 'there-is-none']);
  assert.equal(found.size, 130);
  assert.deepEqual([...found.values()].map(({ data }) => data.n).sort((a, b) => a - b), ids.map((_, n) => n));
});

test('errors say what is wrong', async () => {
  const { session } = await sesior.createSession({ data: { a: 1 } });
  const stale = await failure(sesior.updateSession(session.id, { a: 2 }, { etag: `"${'0'.repeat(40)}"` }));
  assert.deepEqual([stale.code, stale.reason, stale.field, stale.method], ['ABORTED', 'ETAG_MISMATCH', 'etag', 'updateSession']);
  const reserved = await failure(sesior.updateSession(session.id, { cookie: {} }));
  assert.deepEqual([reserved.code, reserved.reason, reserved.field], ['INVALID_ARGUMENT', 'RESERVED_MEMBER', 'cookie']);
  const gone = await failure(sesior.updateSession('there-is-none', { a: 1 }));
  assert.deepEqual([gone.code, gone.reason], ['NOT_FOUND', 'SESSION_NOT_FOUND']);
  const event = await failure(sesior.publish('disconnect'));
  assert.deepEqual([event.code, event.field], ['INVALID_ARGUMENT', 'broadcast.packet.args_json']);
  await assert.rejects(sesior.getSession(undefined), TypeError);
  assert.throws(() => new Sesior({ addresses: [] }), TypeError);
});

test('a request id is carried out once', async () => {
  const { session } = await sesior.createSession({ requestId: 'once' });
  assert.equal((await sesior.createSession({ requestId: 'once' })).session.id, session.id);
  const [first, second] = [
    await sesior.publish('e', [1], { requestId: 'once' }),
    await sesior.publish('e', [1], { requestId: 'once' }),
  ];
  assert.deepEqual(first, second);
  assert.equal((await sesior.publish('e', [2])).offset, first.offset + 1);
});

test('a watch tells the state, changes and the end, to listeners and to a loop', async () => {
  const { session } = await sesior.createSession({ data: { n: 0 } });
  const watch = sesior.watch(session.id, 'there-is-none');
  const kinds = [];
  watch.on('change', ({ kind, ref }) => kinds.push(`${kind} ${ref === session.id}`));
  const refused = once(watch, 'refused');
  const loop = (async () => {
    for await (const { kind, ref, session: now, reason } of watch) {
      if (ref !== session.id) continue;
      if (kind === 'current') await sesior.updateSession(ref, { n: 1 });
      if (kind === 'updated') {
        assert.deepEqual(now.data, { n: 1 });
        await sesior.destroySession(ref, { reason: 'banned' });
      }
      if (kind === 'ended') return reason;
    }
  })();
  assert.equal((await refused)[0].verdict, 'unknown');
  assert.equal(await loop, 'banned');
  assert.equal(watch.size, 0);
  assert.deepEqual(kinds.filter((kind) => kind.endsWith('true')), ['current true', 'updated true', 'ended true']);
  watch.close();
});

test('a client that is closed ends its watches', async () => {
  const own = new Sesior({ addresses: service.addresses });
  const { session } = await own.createSession();
  const loop = (async () => {
    const kinds = [];
    for await (const { kind } of own.watch(session.id)) {
      kinds.push(kind);
      own.close();
    }
    return kinds;
  })();
  assert.deepEqual(await loop, ['current']);
});

test('a watch goes on over replicas that die, and tells what changed meanwhile once', async () => {
  const own = new Sesior({ addresses: service.addresses });
  const made = await Promise.all(['a', 'b', 'c'].map((name) => own.createSession({ data: { name } })));
  const [stays, changes, ends] = made.map(({ session }) => session.id);
  const watch = own.watch(stays, changes, ends);
  const seen = [];
  watch.on('change', ({ kind, ref }) => seen.push(`${kind} ${ref}`));
  try {
    await until('the present state', () => seen.length === 3);
    seen.length = 0;
    // Both go, so that the stream breaks whichever it was on; the changes are made while it is away.
    await Promise.all([service.kill(0), service.kill(1)]);
    await once(watch, 'interrupted');
    await service.redisCli('DEL', `sess:${ends}`);
    await service.redisCli('SET', `sess:${changes}`, '{"cookie":{},"name":"other"}', 'EX', '1000');
    await Promise.all([service.revive(0), service.revive(1)]);
    await until('what changed', () => seen.length === 2);
    assert.deepEqual(seen.toSorted(), [`ended ${ends}`, `updated ${changes}`].toSorted());
    // A drain tells the stream to go elsewhere: nothing is lost and nothing told twice.
    await service.kill(0, 'SIGTERM');
    await own.updateSession(stays, { x: 1 });
    await until('the change', () => seen.includes(`updated ${stays}`));
    await service.revive(0);
    await bothServe(own);
    await service.kill(1, 'SIGTERM');
    await own.updateSession(stays, { x: 2 });
    await until('the change', () => seen.filter((line) => line === `updated ${stays}`).length === 2);
    await service.revive(1);
    assert.equal(seen.length, 4);
  } finally {
    watch.close();
    own.close();
  }
});

test('retries UNAVAILABLE within its limit and its deadline, and nothing else', async () => {
  const own = new Sesior({ addresses: service.addresses, timeoutMs: 5000 });
  const { session } = await own.createSession();
  await Promise.all([service.kill(0), service.kill(1)]);
  const started = Date.now();
  assert.equal((await failure(own.getSession(session.id))).code, 'UNAVAILABLE');
  assert.ok(Date.now() - started < 5000, 'the tries end before the deadline');
  const patient = new Sesior({ addresses: service.addresses, timeoutMs: 20_000, maxTries: 1000 });
  const answer = patient.updateSession(session.id, { n: 1 });
  await Promise.all([service.revive(0), service.revive(1)]);
  assert.deepEqual((await answer).session.data, { n: 1 });
  const late = await failure(patient.getSession(session.id, { timeoutMs: 0 }));
  assert.equal(late.code, 'DEADLINE_EXCEEDED');
  const abort = AbortSignal.abort();
  assert.equal((await failure(patient.getSession(session.id, { signal: abort }))).code, 'CANCELLED');
  own.close();
  patient.close();
});

test('health and who is online', async () => {
  const health = await bothServe(sesior);
  assert.deepEqual(health.map(({ address }) => address), service.addresses);
  assert.deepEqual(await sesior.listOnline(), { total: 0, entries: [] });
  assert.equal(await sesior.countOnline(), 0);
  const nowhere = new Sesior({ addresses: '127.0.0.1:1', timeoutMs: 1000 });
  const [{ serving, error }] = await nowhere.health();
  assert.equal(serving, false);
  assert.equal(error.code, 'UNAVAILABLE');
  nowhere.close();
});
