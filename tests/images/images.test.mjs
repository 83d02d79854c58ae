// The images: what is in them, that they start under the restrictions of a pod and end when told to, and that a user finds
// all of SESIOR in them. tests/e2e runs on them with SESIOR_E2E_TARGET=images.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../../deploy/lib/ports.mjs';
import { httpReady } from '../../deploy/lib/ready.mjs';
import { until } from '../e2e/support/wait.mjs';
import { render } from '../k8s/support/render.mjs';
import { environmentOf, named, podOf } from '../k8s/support/set.mjs';
import { RESTRICTIONS } from './restrictions.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const tag = process.env.SESIOR_IMAGE_TAG ?? 'ci';
const image = (kind) => `localhost/sesior/${kind}:${tag}`;
const podman = (...args) => execFileSync('podman', args, { encoding: 'utf8', maxBuffer: 16 << 20 }).trimEnd();
// Base made of Debian's packages: 135 MB. The runtime of gRPC and protobuf, and our binary, on top.
const MOST_BYTES = 280 << 20;

for (const kind of ['session', 'rest', 'realtime']) {
  test(`the image of ${kind} runs as a number, says what it is, and holds nothing to build or spy with`, () => {
    const [about] = JSON.parse(podman('image', 'inspect', image(kind)));
    assert.equal(about.Config.User, '10001:10001');
    assert.deepEqual(about.Config.Entrypoint, [`/usr/local/bin/sesior-${kind}`]);
    assert.equal(about.Config.Labels['org.opencontainers.image.title'], `sesior-${kind}`);
    assert.match(about.Config.Labels['org.opencontainers.image.revision'], /^[0-9a-f]{40}$/);
    assert.match(about.Config.Labels['org.opencontainers.image.version'], /^\d+\.\d+\.\d+$/);
    assert.equal(about.Config.Labels['org.opencontainers.image.licenses'], 'MIT');
    assert.ok(about.Size < MOST_BYTES, `${about.Size} bytes`);
    assert.doesNotMatch(JSON.stringify([about.Config.Env, about.History]), /secret|password|token/i);
    const packages = podman('run', '--rm', '--network', 'none', '--entrypoint', 'dpkg-query', image(kind), '-W', '-f', '${Package}\n').split('\n');
    assert.deepEqual(packages.filter((name) => /-dev$|^(g\+\+|gcc|cpp|make|cmake|ccache|git|curl|wget|python3|nodejs|npm|gdb|strace|openssh)(-|$)/.test(name) && !/-base$/.test(name)), []);
    // Every library is there, and nothing in the image can be changed by its user.
    const libraries = podman('run', '--rm', '--network', 'none', '--entrypoint', 'ldd', image(kind), `/usr/local/bin/sesior-${kind}`);
    assert.doesNotMatch(libraries, /not found/);
    const writable = podman('run', '--rm', '--network', 'none', '--user', '0:0', '--entrypoint', 'find', image(kind), '/', '-xdev', '(', '-user', '10001', '-o', '-group', '10001', ')', '-not', '-path', '/proc/*', '-not', '-path', '/dev/*', '-print');
    assert.equal(writable, '');
  });
}

test('a container is as locked as a pod, is alive without its Redis, and ends by itself when told to', async () => {
  const [listen, ops, nowhere] = await freePorts(3);
  const folder = mkdtempSync(join(tmpdir(), 'sesior-image-'));
  const pidFile = join(folder, 'pid');
  const container = spawn('podman', ['run', '--rm', '--pidfile', pidFile, '--network', 'host', ...RESTRICTIONS.session, '--env', 'SESIOR_SESSION_COOKIE_SECRET', image('session'),
    '--listen', `127.0.0.1:${listen}`, '--ops-listen', `127.0.0.1:${ops}`, '--redis-url', `redis://127.0.0.1:${nowhere}`],
    { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, SESIOR_SESSION_COOKIE_SECRET: 'for a test' } });
  const ended = new Promise((resolve) => container.once('exit', (code) => resolve(code)));
  try {
    await until('it to live', () => httpReady(`http://127.0.0.1:${ops}/livez`), 30_000);
    assert.equal(await httpReady(`http://127.0.0.1:${ops}/readyz`), false, 'ready without Redis');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, /^Uid:\s+10001\s+10001\s+10001\s+10001$/m);
    assert.match(status, /^Gid:\s+10001\s+10001\s+10001\s+10001$/m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'));
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    assert.match(readFileSync(`/proc/${pid}/mounts`, 'utf8'), /^overlay \/ overlay ro,/m);
  } finally {
    container.kill('SIGTERM');
  }
  assert.equal(await ended, 0);
  rmSync(folder, { recursive: true });
});

test('a service that is told nonsense says all of it and does not start', async () => {
  const { code, stderr } = await new Promise((resolve) =>
    execFile('podman', ['run', '--rm', '--network', 'none', ...RESTRICTIONS.rest, image('rest'), '--listen', 'x', '--threads', '0', '--log-level', 'loud'], (error, stdout, text) => resolve({ code: error?.code ?? 0, stderr: text })));
  assert.equal(code, 2);
  for (const flag of ['threads', 'log-level']) assert.match(stderr, new RegExp(flag));
});

// What would stand in a pod's mounted Secrets, made up.
function secrets() {
  const folder = mkdtempSync(join(tmpdir(), 'sesior-secrets-'));
  const put = (name, text) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  put('redis/url', 'redis://user:password@redis.example:6379');
  put('cookie/secrets', 'the first of two\nthe second of two\n');
  put('edge/tokens', 'a token of sixteen bytes and more\n');
  put('peers/secrets', 'a secret of sixteen bytes and more\n');
  mkdirSync(join(folder, 'tls'));
  const at = (name) => join(folder, 'tls', name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=session', '-addext', 'subjectAltName=DNS:session', '-keyout', at('tls.key'), '-out', at('tls.crt')], { stdio: 'ignore' });
  writeFileSync(at('ca.crt'), readFileSync(at('tls.crt')));
  execFileSync('chmod', ['-R', 'a+rX', folder]);
  return folder;
}

test('each service takes the configuration that k8s gives it, in development and in production', () => {
  const folder = secrets();
  chmodSync(folder, 0o755);
  for (const overlay of ['dev', 'prod']) {
    const objects = render(`k8s/overlays/${overlay}`);
    for (const kind of ['session', 'rest', 'realtime']) {
      const environment = { ...environmentOf(objects, podOf(named(objects, 'Deployment', kind)).containers[0]) };
      if (kind === 'realtime') Object.assign(environment, { SESIOR_REALTIME_REPLICA_NAME: 'realtime-7d9c8b5f6d-x2x9z', SESIOR_REALTIME_PEER_ADDRESS: '10.1.2.3:8091' });
      const told = Object.entries(environment).filter(([, value]) => value !== undefined).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
      podman('run', '--rm', '--network', 'none', ...RESTRICTIONS[kind], '--volume', `${folder}:/etc/sesior:ro`, ...told, image(kind), '--check-config');
    }
  }
  rmSync(folder, { recursive: true });
});
