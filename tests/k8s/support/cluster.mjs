// Cluster: what the tests ask of the two nodes that `cluster/cluster up` has made, from the first of them.
// Ownership: the cluster is its maker's; start() adds names and metrics (cluster/addons.mjs), which stop() ends.
import { execFile, execFileSync, spawn } from 'node:child_process';
import https from 'node:https';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { until } from '../../e2e/support/wait.mjs';
import { root } from './render.mjs';

const here = join(root, 'tests/k8s');
const W = process.env.W ?? '/tmp/sesior-cluster';
const NODE1 = 'sesior-n1';
const ADDRESS = '10.77.0.1';
const run = promisify(execFile);

export class Cluster {
  #addons = null;

  // The cluster is up already (cluster/cluster up), and we are on its first node.
  start() {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=addons', '-keyout', join(W, 'addons.key'), '-out', join(W, 'addons.crt')], { stdio: 'ignore' });
    const log = openSync(join(W, 'log.addons'), 'a');
    const args = [join(here, 'cluster/addons.mjs'), ADDRESS, 'admintok', 'sesior', join(W, 'addons.key'), join(W, 'addons.crt')];
    this.#addons = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...args], { stdio: ['ignore', log, log] });
  }

  stop() {
    this.#addons?.kill();
  }

  async kubectl(...args) {
    const { stdout } = await run(join(W, 'kubectl'), [`--kubeconfig=${join(W, 'admin.kc')}`, ...args], { maxBuffer: 64 << 20, timeout: 300_000 });
    return stdout.trimEnd();
  }
  in(...args) {
    return this.kubectl('-n', 'sesior', ...args);
  }
  async get(...args) {
    return JSON.parse(await this.in('get', ...args, '-o', 'json'));
  }

  async apply(objects) {
    const file = join(W, 'apply.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    return this.kubectl('apply', '-f', file);
  }

  // The pods of a service that are not on their way out, with `ready`.
  async pods(service) {
    const { items } = await this.get('pods', '-l', `app.kubernetes.io/name=${service}`);
    return items
      .filter((pod) => !pod.metadata.deletionTimestamp && !['Failed', 'Succeeded'].includes(pod.status.phase))
      .map((pod) => ({
        name: pod.metadata.name, node: pod.spec.nodeName, ip: pod.status.podIP, uid: pod.metadata.uid,
        ready: (pod.status.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True'),
        restarts: pod.status.containerStatuses?.[0]?.restartCount ?? 0,
      }));
  }
  // Waits until a service has exactly so many pods, all of them ready.
  ready(service, count, timeoutMs = 120_000) {
    return until(`${count} ready pods of ${service}`, async () => {
      const pods = await this.pods(service);
      return pods.length === count && pods.every((p) => p.ready) && pods;
    }, timeoutMs);
  }
  // The URL of a Service, as others in the cluster reach it.
  async url(service) {
    const { spec } = await this.get('service', service);
    return `http://${spec.clusterIP}:${spec.ports[0].port}`;
  }
  async metric(pod, name) {
    const response = await fetch(`http://${pod.ip}:9100/metrics`, { signal: AbortSignal.timeout(3000) });
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  // A request to the API server that kubectl has no words for; resolves with its status and text.
  raw(method, path, body) {
    return new Promise((resolve, reject) => {
      const headers = { authorization: 'Bearer admintok', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const request = https.request({ host: ADDRESS, port: 6443, path, method, headers, rejectUnauthorized: false, timeout: 10_000 }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
      request.end(body);
    });
  }

  // Both directions of the second node's link.
  link(state) {
    execFileSync('ip', ['-n', NODE1, 'link', 'set', 'n2', state]);
  }
}
