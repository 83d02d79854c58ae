// SESIOR on a real cluster of two nodes, with the images that deploy/images/build made. One story, in order: each chapter
// leaves the system whole. The report goes to tests/artifacts/cluster.md. Runs in the network of the cluster's first node:
// tests/k8s/cluster/run makes the cluster, runs this, and takes the cluster away.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Browser } from '../e2e/support/http.mjs';
import { fresh, Peer } from '../e2e/support/peer.mjs';
import { until } from '../e2e/support/wait.mjs';
import { Cluster } from './support/cluster.mjs';
import { forOldServer } from './support/for_old_server.mjs';
import { render, root } from './support/render.mjs';
import { Traffic } from './support/traffic.mjs';

const cluster = new Cluster();
const report = [];
let rest;
let realtime;
let scaler;

function chapter(what, body) {
  test(what, { timeout: 300_000 }, async () => {
    const from = Date.now();
    const seen = await body();
    report.push(`| ${what} | ${seen} | ${((Date.now() - from) / 1000).toFixed(1)} |`);
  });
}

// Runs `during` under traffic, and asks that nobody has noticed. Returns what was counted.
async function underTraffic(during, options) {
  const traffic = new Traffic(rest, realtime);
  await traffic.start(options);
  let seen;
  try {
    seen = await during(traffic);
  } finally {
    await traffic.stop();
  }
  assert.deepEqual(traffic.failed, [], 'requests failed');
  assert.deepEqual(traffic.lost(), [], 'connected sockets lost broadcasts');
  assert.deepEqual(traffic.doubled(), [], 'broadcasts came twice');
  return [seen, traffic.summary()].filter(Boolean).join('; ');
}

const rollOut = (service) => cluster.in('rollout', 'status', `deployment/${service}`, '--timeout=180s');

before(async () => {
  cluster.start();
  const up = Date.now();
  const objects = forOldServer(render('tests/k8s/overlay'));
  scaler = objects.find((o) => o.kind === 'HorizontalPodAutoscaler');
  await cluster.apply(objects.filter((o) => o.kind === 'Namespace'));
  await cluster.apply(objects.filter((o) => !['Namespace', 'HorizontalPodAutoscaler'].includes(o.kind)));
  await cluster.in('scale', 'deployment/realtime', '--replicas=2');
  for (const service of ['session', 'rest', 'realtime']) await rollOut(service);
  [rest, realtime] = [await cluster.url('rest'), await cluster.url('realtime')];
  report.push(`| everything applied | all pods ready | ${((Date.now() - up) / 1000).toFixed(1)} |`);
}, { timeout: 900_000 });

after(() => {
  mkdirSync(join(root, 'tests/artifacts'), { recursive: true });
  writeFileSync(join(root, 'tests/artifacts/cluster.md'), ['| check | what was seen | seconds |', '| --- | --- | --: |', ...report, ''].join('\n'));
  cluster.stop();
}, { timeout: 120_000 });

chapter('a user signs in, renames and signs out through the Services', async () => {
  const users = [];
  for (let i = 0; i < 4; ++i) {
    const browser = new Browser(rest);
    const name = fresh('guest');
    assert.equal((await browser.register(name)).status, 200);
    const peer = await Peer.open(realtime, browser.cookie, { transports: i % 2 ? ['polling', 'websocket'] : ['websocket'] });
    assert.equal((await peer.ask('user:connected', name))[0], null);
    users.push({ browser, name, peer });
  }
  const name = fresh('renamed');
  const [error] = await users[0].peer.ask('user:rename', name);
  assert.equal(error, null);
  for (const { peer } of users.slice(1)) await peer.next('user:renamed', (data) => data.user.userName === name);
  assert.match((await users[0].browser.get('/')).text, /<html/);
  assert.equal((await users[0].browser.post('/logout')).status, 204);
  await users[0].peer.gone();
  for (const { peer } of users) peer.close();
  return '4 users by WebSocket and long-polling without affinity: one renames, all others are told; signing out ends the socket';
});

chapter('pods are locked down', async () => {
  for (const service of ['session', 'rest', 'realtime']) {
    const [pod] = await cluster.pods(service);
    const status = await cluster.in('exec', pod.name, '--', 'cat', '/proc/1/status');
    assert.match(status, /^Uid:\s+10001\s/m);
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.match(status, /^CapBnd:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    await assert.rejects(cluster.in('exec', pod.name, '--', 'touch', '/tmp/x'), /Read-only file system/);
    await assert.rejects(cluster.in('exec', pod.name, '--', 'ls', '/var/run/secrets/kubernetes.io'), /No such file/);
  }
  return 'user 10001, no capability, no new privileges, filtered system calls, nothing to write to, no token';
});

chapter('realtime 2 → 5 → 2 under traffic', () =>
  underTraffic(async (traffic) => {
    await cluster.in('scale', 'deployment/realtime', '--replicas=5');
    const pods = await cluster.ready('realtime', 5);
    // Those that come now find the new pods.
    const more = new Traffic(rest, realtime);
    await more.start({ listeners: 20, askers: 0 });
    const spread = await Promise.all(pods.map((pod) => cluster.metric(pod, 'sesior_realtime_sockets')));
    assert.ok(spread.filter((n) => n > 0).length >= 4, `sockets by pod: ${spread}`);
    await more.stop();
    assert.deepEqual(more.lost(), []);
    await cluster.in('scale', 'deployment/realtime', '--replicas=2');
    await until('the others to be gone', async () => (await cluster.get('pods', '-l', 'app.kubernetes.io/name=realtime')).items.length === 2, 120_000);
    return `sockets by pod at five: ${spread.join(', ')}`;
  }),
);

for (const service of ['session', 'rest', 'realtime']) {
  chapter(`rolling update of ${service} under traffic`, () =>
    underTraffic(async () => {
      const before = new Set((await cluster.pods(service)).map((p) => p.uid));
      await cluster.in('rollout', 'restart', `deployment/${service}`);
      await rollOut(service);
      await until('the old pods to be gone', async () => {
        const { items } = await cluster.get('pods', '-l', `app.kubernetes.io/name=${service}`);
        return !items.some((p) => before.has(p.metadata.uid));
      }, 120_000);
    }),
  );
}

chapter('a pod of each service is killed under way', async () => {
  const traffic = new Traffic(rest, realtime);
  await traffic.start();
  for (const service of ['session', 'rest', 'realtime']) {
    const [pod] = await cluster.pods(service);
    await cluster.in('delete', 'pod', pod.name, '--grace-period=0', '--force');
    await until('another in its place', async () => {
      const pods = await cluster.pods(service);
      return pods.length === 2 && pods.every((p) => p.ready && p.uid !== pod.uid);
    }, 60_000);
  }
  await traffic.stop();
  // A killed process takes the requests that it has with it, and those that the Service still sends it.
  assert.ok(traffic.failed.length < 0.1 * traffic.asked, traffic.summary());
  assert.deepEqual(traffic.lost(), []);
  return traffic.summary();
});

chapter('an eviction below the budget is refused', async () => {
  const evict = async ({ name }) => {
    const body = JSON.stringify({ apiVersion: 'policy/v1beta1', kind: 'Eviction', metadata: { name, namespace: 'sesior' } });
    const response = await cluster.raw('POST', `/api/v1/namespaces/sesior/pods/${name}/eviction`, body);
    return response.status;
  };
  const [first, second] = await cluster.ready('rest', 2);
  await until('the budget to be known', async () => (await cluster.get('pdb', 'rest')).status.disruptionsAllowed === 1, 30_000);
  assert.equal(await evict(first), 201);
  assert.equal(await evict(second), 429);
  await until('another in its place', async () => {
    const pods = await cluster.pods('rest');
    return pods.length === 2 && pods.every((p) => p.ready && p.name !== first.name);
  }, 60_000);
  return 'one of two pods of rest is evicted (201), the other is not (429)';
});

chapter('autoscaling on the pods’ own connections', async () => {
  await cluster.apply([scaler]);
  await cluster.apply([
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'adapter', namespace: 'kube-system' }, spec: { ports: [{ port: 443, targetPort: 8443 }] } },
    { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'adapter', namespace: 'kube-system' }, subsets: [{ addresses: [{ ip: '10.77.0.1' }], ports: [{ port: 8443 }] }] },
    {
      apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1beta1.custom.metrics.k8s.io' },
      spec: { group: 'custom.metrics.k8s.io', version: 'v1beta1', groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: { name: 'adapter', namespace: 'kube-system' } },
    },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'metrics' }, rules: [{ apiGroups: ['custom.metrics.k8s.io'], resources: ['*'], verbs: ['*'] }] },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'metrics' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'metrics' },
      subjects: [{ kind: 'ServiceAccount', name: 'horizontal-pod-autoscaler', namespace: 'kube-system' }],
    },
  ]);
  await cluster.ready('realtime', 2);
  const traffic = new Traffic(rest, realtime);
  await traffic.start({ listeners: 35, askers: 1 });  // and three of the speaker: 38, for pods of ten
  const from = Date.now();
  await cluster.ready('realtime', 4);
  const grown = Date.now();
  await traffic.stop();
  await cluster.ready('realtime', 2, 180_000);
  const shrunk = Date.now();
  await cluster.in('delete', 'hpa', 'realtime');
  assert.deepEqual(traffic.lost(), []);
  return `38 sockets, 10 a pod: 2 → 4 pods ready in ${((grown - from) / 1000).toFixed(1)} s; all closed: 4 → 2 in ${((shrunk - grown) / 1000).toFixed(1)} s`;
});

chapter('the cookie secret is rotated, and nobody is signed out', async () => {
  const before = new Browser(rest);
  const name = fresh('old secret');
  await before.register(name);
  const cookie = before.cookie;
  const peer = await Peer.open(realtime, cookie);
  const { volumes } = (await cluster.get('deployment', 'session')).spec.template.spec;
  const secret = volumes.find((v) => v.name === 'cookie').secret.secretName;
  const old = Buffer.from((await cluster.get('secret', secret)).data.secrets, 'base64').toString();
  const pods = await cluster.ready('session', 2);
  const loads = () => Promise.all(pods.map((pod) => cluster.metric(pod, 'sesior_session_secret_reloads_total')));
  const put = async (lines) => {
    const had = await loads();
    await cluster.in('patch', 'secret', secret, '-p', JSON.stringify({ stringData: { secrets: lines.join('\n') } }));
    await until('session to have read it', async () => (await loads()).every((n, i) => n > had[i]), 150_000);
  };
  await put([old, 'the next one, for tests only']);
  await put(['the next one, for tests only', old]);
  // A cookie of the old secret is good, and is replaced by one of the new.
  const { json } = await before.get('/verify-session');
  assert.deepEqual(json, { sessionVerified: true, user: { userName: name } });
  assert.notEqual(before.cookie, cookie, 'the cookie was not replaced');
  await put(['the next one, for tests only']);
  assert.equal((await before.get('/verify-session')).json.sessionVerified, true);
  const stale = new Browser(rest);
  stale.cookie = cookie;
  assert.equal((await stale.get('/verify-session')).json.sessionVerified, false);
  assert.equal(peer.disconnected, null, 'the socket was closed');
  peer.close();
  return 'three steps without a restart: old cookies are good and replaced, then refused; the session and its socket stay';
});

chapter('a node is cut off', async () => {
  const ours = new Browser(rest);
  await ours.register(fresh('user'));
  const from = Date.now();
  cluster.link('down');
  let moved;
  try {
    await until('every service on the first node', async () => {
      for (const service of ['session', 'rest', 'realtime']) {
        if ((await cluster.pods(service)).filter((p) => p.ready && p.node === 'node1').length < 2) return false;
      }
      return true;
    }, 150_000);
    moved = Date.now();
    await underTraffic(async () => undefined, { listeners: 6 });
    assert.equal((await ours.get('/verify-session')).json.sessionVerified, true);
  } finally {
    cluster.link('up');
  }
  await until('the node to be back', async () => (await cluster.kubectl('get', 'nodes', '--no-headers')).split('\n').every((line) => / Ready /.test(line)), 60_000);
  await until('the session to be verified', async () => (await ours.get('/verify-session').catch(() => null))?.json?.sessionVerified, 60_000);
  return `all services are whole on the other node after ${((moved - from) / 1000).toFixed(1)} s; sessions are as they were`;
});
