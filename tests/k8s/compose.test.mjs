// deploy/compose holds to the same rules as the pods, tells the services only what they read, and haproxy takes its file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { parse } from 'yaml';

import { root } from './support/render.mjs';
import { seconds, variablesOf } from './support/settings.mjs';

const folder = join(root, 'deploy/compose');
const compose = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true });
const OURS = ['session', 'rest', 'realtime'];

test('every container is locked, bounded, and told only what it reads', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.ok(service.mem_limit && service.pids_limit, name);
    assert.doesNotMatch(service.image, /:latest$|^[^:]*$/, name);
    for (const secret of service.secrets ?? []) assert.ok(compose.secrets[secret], `${name}: ${secret}`);
    for (const network of service.networks) assert.ok(network in compose.networks, `${name}: ${network}`);
  }
  for (const name of OURS) {
    const { environment, secrets, stop_grace_period: grace } = compose.services[name];
    const known = variablesOf(name);
    for (const [variable, value] of Object.entries(environment)) {
      assert.ok(known.has(variable), `nothing reads ${variable}`);
      if (value.startsWith('/run/secrets/')) assert.ok(secrets.includes(value.slice('/run/secrets/'.length)), `${variable}: ${value}`);
    }
    assert.ok(seconds(grace) >= seconds(environment[`SESIOR_${name.toUpperCase()}_STOP_TIMEOUT`]) + 10, `${name} is killed too soon`);
  }
});

test('only session reaches Redis, and only haproxy is reached from outside', () => {
  const on = (network) => Object.keys(compose.services).filter((name) => compose.services[name].networks.includes(network));
  assert.deepEqual(on('redis'), ['redis', 'session']);
  assert.deepEqual(on('outer'), ['haproxy']);
  assert.equal(compose.networks.redis.internal && compose.networks.inner.internal, true);
  assert.deepEqual(Object.keys(compose.services).filter((name) => compose.services[name].ports), ['haproxy']);
});

test('haproxy takes its file', () => {
  const made = mkdtempSync(join(tmpdir(), 'sesior-haproxy-'));
  const at = (name) => join(made, name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', at('key'), '-out', at('crt')], { stdio: 'ignore' });
  writeFileSync(at('tls'), readFileSync(at('crt'), 'utf8') + readFileSync(at('key'), 'utf8'));
  writeFileSync(at('cfg'), readFileSync(join(folder, 'haproxy.cfg'), 'utf8').replace('/run/secrets/tls', at('tls')));
  execFileSync('/usr/sbin/haproxy', ['-c', '-q', '-f', at('cfg')]);
  rmSync(made, { recursive: true });
});
