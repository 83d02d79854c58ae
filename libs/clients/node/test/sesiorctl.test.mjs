// sesiorctl as an operator uses it: what it prints, and its exit codes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Service, until } from '../../../../tests/clients/service.mjs';
import sesiorModule from '../index.js';

const program = join(dirname(fileURLToPath(import.meta.url)), '../bin/sesiorctl.js');

let service;
let sesior;
before(async () => {
  service = await Service.start();
  sesior = new sesiorModule.Sesior({ addresses: service.addresses });
});
after(async () => {
  sesior?.close();
  await service?.stop();
});

function start(args, { input = '', command = [process.execPath, program], addresses = service.addresses.join(',') } = {}) {
  const child = spawn(command[0], [...command.slice(1), ...args], { env: { ...process.env, SESIOR_ADDRESSES: addresses } });
  const run = { out: '', err: '' };
  child.stdout.on('data', (data) => (run.out += data));
  child.stderr.on('data', (data) => (run.err += data));
  child.stdin.end(input);
  run.done = new Promise((resolve) => child.on('close', (code) => resolve({ code, out: run.out, err: run.err })));
  return run;
}
const ctl = (...args) => start(args).done;
const masked = (id) => `h:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`;

test('get and patch show the session, its id masked unless asked for', async () => {
  const { session } = await sesior.createSession({ data: { a: 1, evil: '\u001b[2J' }, userId: 'ann' });
  const shown = await ctl('get', session.id);
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, new RegExp(`^id +${masked(session.id)}\nuser +ann\n`));
  assert.ok(!shown.out.includes(session.id) && !shown.out.includes('\u001b'));
  const { out } = await start(['get', '-', '--json'], { input: `${session.id}\n` }).done;
  assert.deepEqual(JSON.parse(out).data, { a: 1, evil: '\u001b[2J' });
  const changed = await ctl('patch', session.id, '{"a":null,"b":2}', '--json', '--show-ids');
  const now = JSON.parse(changed.out);
  assert.deepEqual([now.id, now.data.a, now.data.b], [session.id, undefined, 2]);
  const stale = await ctl('patch', session.id, '{}', '--etag', session.etag);
  assert.equal(stale.code, 1);
  assert.match(stale.err, /ETAG_MISMATCH/);
});

test('watch follows sessions until they have ended', async () => {
  const { session } = await sesior.createSession({ data: { n: 0 } });
  const watch = start(['watch', session.id, '--json']);
  const kinds = () => watch.out.split('\n').filter(Boolean).map((line) => JSON.parse(line).kind);
  await until('the present state', () => kinds().includes('current'));
  await sesior.updateSession(session.id, { n: 1 });
  await until('the change', () => kinds().includes('updated'));
  assert.equal((await ctl('end', session.id, '--reason', 'revoked')).code, 0);
  const { code, out } = await watch.done;
  assert.equal(code, 0);
  assert.equal(JSON.parse(out.trim().split('\n').at(-1)).why, 'revoked');
  assert.equal((await ctl('end', session.id)).code, 3);
  assert.equal((await ctl('get', session.id)).code, 3);
});

test('publish, online and health', async () => {
  const once = ['publish', 'news', '{"a":1}', '"x"', '--room', 'r1', '--room', 'r2', '--request-id', 'ctl-once', '--json'];
  const first = await ctl(...once);
  assert.equal(first.code, 0, first.err);
  assert.equal((await ctl(...once)).out, first.out);
  const reserved = await ctl('publish', 'disconnect');
  assert.equal(reserved.code, 1);
  const online = await ctl('online');
  assert.equal(online.out, 'KEY  SINCE  VALUE\n0 online\n');
  const health = await ctl('health');
  assert.equal(health.code, 0);
  for (const address of service.addresses) assert.match(health.out, new RegExp(`${address} +true`));
  const half = await start(['health', '--timeout', '1'], { addresses: `${service.addresses[0]},127.0.0.1:1` }).done;
  assert.equal(half.code, 3);
  assert.match(half.out, /127\.0\.0\.1:1 +false +UNAVAILABLE/);
});

test('list and end-user show and end the sessions of a user', async () => {
  const made = [];
  for (const label of ['phone', 'desk']) {
    made.push((await sesior.createSession({ userId: 'ben', device: { address: '192.0.2.7', label } })).session);
  }
  const { out } = await ctl('list', 'ben');
  assert.match(out, /^HANDLE +CREATED +SEEN +EXPIRES +ADDRESS +DEVICE\n/);
  for (const { id, handle } of made) {
    assert.ok(out.includes(handle));
    assert.ok(!out.includes(id));
  }
  const listed = (await ctl('list', 'ben', '--json')).out.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(listed.map(({ device }) => device).sort(), ['desk', 'phone']);
  assert.equal((await ctl('list', 'ben', '--limit', '1', '--json')).out.trim().split('\n').length, 1);
  const one = await ctl('end-user', 'ben', '--handle', made[0].handle, '--reason', 'revoked', '--json');
  assert.deepEqual(JSON.parse(one.out), { ended: 1 });
  assert.equal(await sesior.getSession(made[0].id), null);
  assert.deepEqual(JSON.parse((await ctl('end-user', 'ben', '--json')).out), { ended: 1 });
  assert.equal((await ctl('end-user', 'ben')).code, 3);
  assert.equal((await ctl('list', 'ben', '--json')).out, '');
});

test('emit is repeated by its request id, and takes ids from standard input', async () => {
  const { session } = await sesior.createSession();
  const once = ['emit', 'news', '{"a":1}', '--user', 'ann', '--session', '-', '--room', 'r1', '--request-id', 'ctl-emit', '--json'];
  const first = await start(once, { input: session.id }).done;
  assert.equal(first.code, 0, first.err);
  assert.equal((await start(once, { input: session.id }).done).out, first.out);
  for (const bad of [['disconnect'], ['news', '--user', 'a b'], ['']]) assert.equal((await ctl('emit', ...bad)).code, 1, bad.join(' '));
});

test('exit codes tell usage and outage apart', async () => {
  for (const wrong of [[], ['nothing'], ['get'], ['patch', 'x', '{'], ['online', '--limit', '0'], ['end', 'x', '--reason', 'mood'], ['get', 'x', '--what']]) {
    const { code, err, out } = await ctl(...wrong);
    assert.equal(code, 2, wrong.join(' '));
    assert.match(err, /--help/);
    assert.equal(out, '');
  }
  assert.equal((await start(['get', 'x', '--timeout', '1'], { addresses: '127.0.0.1:1' }).done).code, 4);
  assert.match((await ctl('--help')).out, /examples:/);
});

test('completes in bash', async () => {
  const { out } = await ctl('completion', 'bash');
  const complete = (...words) =>
    start(['-c', `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _sesiorctl; echo "\${COMPREPLY[*]}"`], { command: ['bash'] }).done;
  assert.equal((await complete('sesiorctl', 'pu')).out, 'publish\n');
  assert.equal((await complete('sesiorctl', 'end', 'x', '--reason', 'b')).out, 'banned\n');
  assert.match((await ctl('completion', 'zsh')).out, /bashcompinit/);
  assert.equal((await ctl('completion', 'fish')).code, 2);
});
