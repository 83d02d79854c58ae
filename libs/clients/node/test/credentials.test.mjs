// The client, the store and sesiorctl against a service that knows its callers: TLS, certificates, tokens, roles.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Service } from '../../../../tests/clients/service.mjs';
import sesiorModule from '../index.js';

const here = dirname(fileURLToPath(import.meta.url));
const TOKEN = 'the token of a backend';

let folder;
let service;
const clients = [];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sesior-credentials-'));
  execFileSync(join(here, '../../../../tests/support/certificates.sh'), [folder]);
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`);
  service = await Service.start({
    replicas: 1,
    flags: [
      '--tls-cert', join(folder, 'server.pem'), '--tls-key', join(folder, 'server.key'), '--tls-client-ca', join(folder, 'ca.pem'),
      '--edge-names', 'sesior-rest', '--admin-names', 'ops', '--backend-tokens-file', join(folder, 'token'),
    ],
  });
});
after(async () => {
  for (const client of clients) client.close();
  await service?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const file = (name) => join(folder, name);
const certificate = (name) => ({ ca: file('ca.pem'), cert: file(`${name}.pem`), key: file(`${name}.key`) });
function connect(options) {
  const client = new sesiorModule.Sesior({ addresses: service.addresses, maxTries: 1, ...options });
  clients.push(client);
  return client;
}
const failure = (promise) => promise.then(() => assert.fail('it was allowed'), ({ code, reason }) => [code, reason]);

test('a token gives its role, over TLS, in calls and in streams', async () => {
  const backend = connect({ tls: { ca: file('ca.pem') }, token: TOKEN });
  const { session } = await backend.createSession({ data: { a: 1 } });
  assert.equal((await backend.getSessions([session.id])).size, 1);
  await backend.emit('news', [], { sessionIds: [session.id] });
  const watch = backend.watch(session.id);
  const [{ kind }] = await new Promise((resolve) => watch.once('change', (...args) => resolve(args)));
  assert.equal(kind, 'current');
  watch.close();
  assert.deepEqual(await failure(backend.listSessions({ userId: 'ann' })), ['PERMISSION_DENIED', 'ROLE_REQUIRED']);
  assert.deepEqual((await backend.health()).map(({ serving }) => serving), [true]);
});

test('a token may change while the client lives', async () => {
  let token = 'a token that nobody has';
  const client = connect({ tls: { ca: file('ca.pem') }, token: () => token });
  assert.deepEqual(await failure(client.createSession()), ['UNAUTHENTICATED', 'CREDENTIALS_UNKNOWN']);
  token = TOKEN;
  await client.createSession();
});

test('a certificate gives the role of its name', async () => {
  const edge = connect({ tls: certificate('edge') });
  const { session } = await edge.createSession();
  assert.deepEqual(await failure(edge.getSessions([session.id])), ['PERMISSION_DENIED', 'ROLE_REQUIRED']);
  assert.deepEqual(await failure(edge.emit('news')), ['PERMISSION_DENIED', 'ROLE_REQUIRED']);
  const pem = Object.fromEntries(Object.entries(certificate('admin')).map(([name, path]) => [name, readFileSync(path, 'utf8')]));
  const admin = connect({ tls: { ...pem, serverName: 'sesior-session' } });
  assert.deepEqual((await admin.listSessions({ userId: 'ann' })).sessions, []);
});

test('without credentials, or with those of others, nothing is answered', async () => {
  assert.deepEqual(await failure(connect({ tls: { ca: file('ca.pem') } }).createSession()), ['UNAUTHENTICATED', 'CREDENTIALS_MISSING']);
  for (const tls of [undefined, true, { ca: file('other.pem') }, certificate('stranger'), { ca: file('ca.pem'), serverName: 'another' }]) {
    assert.equal((await failure(connect({ tls, token: TOKEN }).createSession()))[0], 'UNAVAILABLE');
  }
});

test('sesiorctl shows its credentials', async () => {
  const ctl = (...args) =>
    promisify(execFile)(process.execPath, [join(here, '../bin/sesiorctl.js'), '--addresses', service.addresses.join(), '--ca', file('ca.pem'), ...args]).then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      ({ code, stderr }) => ({ code, err: stderr }),
    );
  assert.equal((await ctl('emit', 'news', '--user', 'ann', '--token-file', file('token'))).code, 0);
  assert.equal((await ctl('list', 'ann', '--cert', file('admin.pem'), '--key', file('admin.key'))).code, 0);
  const refused = await ctl('list', 'ann', '--token-file', file('token'));
  assert.equal(refused.code, 1);
  assert.match(refused.err, /ROLE_REQUIRED/);
});
