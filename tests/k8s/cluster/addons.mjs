// What a cluster usually brings and this one lacks: names of Services (DNS), and the metrics of pods for the autoscaler
// (custom.metrics.k8s.io, as the Prometheus adapter answers it). Both ask the API server and the pods themselves.
// usage, in the first node's namespace: addons.mjs ADDRESS TOKEN NAMESPACE KEY CERT
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const [, , address, token, namespace, keyFile, certFile] = process.argv;
const API = { host: address, port: 6443, rejectUnauthorized: false, headers: { authorization: `Bearer ${token}` }, timeout: 3000 };
const FRESH_MS = 250;

function get(client, options) {
  return new Promise((resolve, reject) => {
    const request = client.get(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => (response.statusCode === 200 ? resolve(Buffer.concat(chunks).toString()) : reject(new Error(`${response.statusCode}`))));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}
const objects = async (path) => JSON.parse(await get(https, { ...API, path })).items;

// Names to addresses: a Service's own, or those of the ready pods behind a headless one.
let table = { at: 0, names: Promise.resolve(new Map()) };
async function readNames() {
  const [services, endpoints] = await Promise.all([objects(`/api/v1/namespaces/${namespace}/services`), objects(`/api/v1/namespaces/${namespace}/endpoints`)]);
  const names = new Map();
  for (const { metadata, spec } of services) {
    const behind = endpoints.find((e) => e.metadata.name === metadata.name)?.subsets ?? [];
    const addresses = spec.clusterIP === 'None' ? behind.flatMap((s) => s.addresses ?? []).map((a) => a.ip) : [spec.clusterIP];
    names.set(`${metadata.name}.${namespace}.svc.cluster.local`, addresses);
  }
  return names;
}
function names() {
  if (Date.now() - table.at > FRESH_MS) {
    const last = table.names;
    table = { at: Date.now(), names: readNames().catch(() => last) };
  }
  return table.names;
}

const dns = createSocket('udp4');
dns.on('message', async (query, from) => {
  const labels = [];
  let at = 12;
  while (query[at] > 0 && at + query[at] < query.length) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    at += query[at] + 1;
  }
  if (query.length < at + 5) return;
  const type = query.readUInt16BE(at + 1);
  const found = (await names()).get(labels.join('.').toLowerCase());
  const addresses = type === 1 ? (found ?? []) : [];
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8580 | (found?.length ? 0 : 3), 2);  // NXDOMAIN for a name without addresses, as CoreDNS answers
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  const answers = addresses.map((ip) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...ip.split('.').map(Number)]));
  dns.send(Buffer.concat([head, query.subarray(12, at + 5), ...answers]), from.port, from.address);
});
dns.bind(53, address);

// One metric of each pod that the selector chooses, from its own /metrics.
async function metricOf(metric, selector) {
  const pods = (await objects(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`)).filter((p) => p.status.podIP && !p.metadata.deletionTimestamp);
  const values = await Promise.all(
    pods.map(async (pod) => {
      const text = await get(http, { host: pod.status.podIP, port: 9100, path: '/metrics', timeout: 2000, agent: false }).catch(() => '');
      const line = new RegExp(`^${metric}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, 'm').exec(text);
      return line && { pod: pod.metadata.name, value: Math.round(Number(line[1])) };
    }),
  );
  const timestamp = new Date().toISOString().replace(/\.\d+/, '');
  return values.filter(Boolean).map(({ pod, value }) => ({
    describedObject: { kind: 'Pod', namespace, name: pod, apiVersion: '/v1' }, metricName: metric, timestamp, value: String(value), selector: null,
  }));
}

const GROUP = 'custom.metrics.k8s.io/v1beta1';
https.createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'https://x');
  const answer = (object, status = 200) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(object));
  const metric = new RegExp(`^/apis/${GROUP}/namespaces/${namespace}/pods/\\*/([a-z_]+)$`).exec(decodeURIComponent(pathname))?.[1];
  if (pathname === `/apis/${GROUP}`) {
    answer({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP, resources: [{ name: 'pods/sesior_realtime_connections', singularName: '', namespaced: true, kind: 'MetricValueList', verbs: ['get'] }] });
  } else if (metric) {
    const items = await metricOf(metric, searchParams.get('labelSelector') ?? '').catch(() => []);
    answer({ kind: 'MetricValueList', apiVersion: GROUP, metadata: {}, items });
  } else {
    answer({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }, 404);
  }
}).listen(8443, address);
