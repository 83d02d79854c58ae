// A user's sessions: seen from every device, ended from any, with a reason for the sockets that go.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser, request } from './support/http.mjs';
import { Peer, announce, fresh, join } from './support/peer.mjs';
import { System } from './support/system.mjs';

let system;
before(async () => {
  system = await System.start();
});
after(() => system?.stop());

const agent = (text) => ({ headers: { 'user-agent': text } });
const list = async (browser) => (await browser.get('/sessions')).json.sessions;

// One more device of the same user: {name, browser}.
async function addDevice(browser, userAgent) {
  const { link } = (await browser.post('/sessions/link')).json;
  const device = new Browser(system.rest);
  const name = fresh('device');
  const answer = await device.post('/register', { json: { userName: name, link }, ...agent(userAgent) });
  assert.equal(answer.status, 200, answer.text);
  return { name, browser: device, link };
}

test('lists the sessions of the user, newest first, by handles', async () => {
  const ann = new Browser(system.rest);
  await ann.post('/register', { json: { userName: fresh() }, ...agent('Laptop/1') });
  const phone = await addDevice(ann, `Phone/1 ${'x'.repeat(400)}`);
  const seen = await list(ann);
  assert.equal(seen.length, 2);
  assert.deepEqual(seen.map((s) => s.current), [false, true]);
  assert.equal(seen[0].device.userAgent.length, 256);
  assert.equal(seen[1].device.userAgent, 'Laptop/1');
  assert.equal(seen[1].address, '127.0.0.1');
  for (const session of seen) {
    assert.match(session.handle, /^[\w-]{22}$/);
    assert.ok(Math.abs(Date.parse(session.created) - Date.now()) < 60_000);
    assert.ok(Date.parse(session.lastSeen) >= Date.parse(session.created));
  }
  const fromPhone = await list(phone.browser);
  assert.deepEqual(fromPhone.map((s) => s.handle), seen.map((s) => s.handle));
  assert.deepEqual(fromPhone.map((s) => s.current), [true, false]);

  const first = (await ann.get('/sessions?limit=1')).json;
  const second = (await ann.get(`/sessions?limit=1&after=${encodeURIComponent(first.next)}`)).json;
  assert.deepEqual([...first.sessions, ...second.sessions].map((s) => s.handle), seen.map((s) => s.handle));
  assert.equal(second.next, undefined);

  // Of a rename the list knows nothing; of another user neither.
  await ann.register(fresh());
  assert.equal((await list(ann)).length, 2);
  const eve = new Browser(system.rest);
  await eve.register(fresh());
  assert.equal((await list(eve)).length, 1);
  assert.equal((await eve.send('DELETE', `/sessions/${seen[0].handle}`)).status, 404);
  assert.equal((await list(ann)).length, 2);
});

test('a link is good once', async () => {
  const ann = new Browser(system.rest);
  await ann.register(fresh());
  const { link } = await addDevice(ann, 'Phone/1');
  const again = await new Browser(system.rest).post('/register', { json: { userName: fresh(), link } });
  assert.equal(again.status, 400);
  assert.equal(again.json.membershipResolved, false);
  assert.equal((await list(ann)).length, 2);
});

test('ends one from another device: its sockets are told why, and no other goes', async () => {
  const ann = await join(system);
  const phone = await addDevice(ann.browser, 'Phone/1');
  const sockets = [await announce(system, phone.browser, phone.name, 0), await announce(system, phone.browser, phone.name, 1)];
  const handle = (await list(phone.browser)).find((s) => s.current).handle;
  assert.equal((await ann.browser.send('DELETE', `/sessions/${handle}`)).status, 204);
  for (const socket of sockets) {
    assert.deepEqual(await socket.next('session:ended'), { reason: 'revoked' });
    assert.equal(await socket.gone(), 'io server disconnect');
    assert.equal(socket.socket.active, false, 'the client does not come back by itself');
  }
  assert.equal(await ann.peer.next('user:left'), phone.name);
  assert.equal(ann.peer.disconnected, null);
  assert.equal((await phone.browser.get('/sessions')).status, 401);
  assert.equal((await ann.browser.send('DELETE', `/sessions/${handle}`)).status, 404);
  await assert.rejects(Peer.open(system.realtime[0], phone.browser.cookie), /Not authorized/);
});

test('ends all others, then all', async () => {
  const ann = await join(system);
  const devices = [await addDevice(ann.browser, 'A/1'), await addDevice(ann.browser, 'B/1')];
  assert.equal((await ann.browser.send('DELETE', '/sessions?except=current')).status, 204);
  for (const { browser } of devices) assert.equal((await browser.get('/sessions')).status, 401);
  assert.equal((await list(ann.browser)).length, 1);
  assert.equal(ann.peer.disconnected, null);
  const { status, cookie } = await ann.browser.send('DELETE', '/sessions');
  assert.equal(status, 204);
  assert.equal(cookie, 'connect.sid=');
  assert.deepEqual(await ann.peer.next('session:ended'), { reason: 'revoked' });
});

test('only the own origin may end', async () => {
  const ann = new Browser(system.rest);
  await ann.register(fresh());
  const foreign = await ann.send('DELETE', '/sessions', { headers: { origin: 'http://evil.example' } });
  assert.equal(foreign.status, 403);
  assert.equal((await request(`${system.rest}/sessions`)).status, 401);
  assert.equal((await list(ann)).length, 1);
});

test('a logout tells every socket of the session before it goes', async () => {
  const ann = await join(system);
  const tab = await announce(system, ann.browser, ann.name, 1);
  const polling = await Peer.open(system.realtime[1], ann.browser.cookie, { transports: ['polling'] });
  assert.equal((await ann.browser.post('/logout')).status, 204);
  for (const peer of [ann.peer, tab, polling]) {
    assert.deepEqual(await peer.next('session:ended'), { reason: 'logout' });
    assert.equal(await peer.gone(), 'io server disconnect');
  }
});

test('tells its own sockets of a changed name', async () => {
  const ann = await join(system);
  const name = fresh();
  await ann.browser.register(name);
  assert.deepEqual(await ann.peer.next('session:changed'), { userName: name });
  await ann.browser.send('PATCH', '/session', { json: { secret: 1 } });
  const other = fresh();
  await ann.browser.register(other);
  assert.deepEqual(await ann.peer.next('session:changed'), { userName: other }, 'of members that are not listed nothing is told');
});
