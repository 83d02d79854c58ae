// The manifests without a cluster: every overlay with every combination of components renders, holds to Kubernetes's
// types, to the rules and to itself. Each rule, and each kind of reference, is shown a set that it must refuse.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { parse as parseOne } from 'yaml';

import { danglingReferences } from './support/references.mjs';
import { parse, render, renderText, root } from './support/render.mjs';
import { brokenRules, RULES } from './support/rules.mjs';
import { schemaProblems } from './support/schema.mjs';
import { named, podOf } from './support/set.mjs';

const required = parseOne(readFileSync(join(root, 'k8s/overlays/prod/required-secrets.yaml'), 'utf8'));

// Each of these with any of the others; keda answers what the adapter would be asked.
const OPTIONAL = ['ingress', 'monitoring', 'prometheus-adapter', 'keda'];
const combinations = OPTIONAL.reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]]).filter(
  (set) => !(set.includes('keda') && set.includes('prometheus-adapter')),
);

for (const overlay of ['dev', 'prod']) {
  for (const components of combinations) {
    test(`${[overlay, ...components].join(' + ')} renders, and holds to types, rules and itself`, () => {
      const objects = render(`k8s/overlays/${overlay}`, components);
      assert.deepEqual(schemaProblems(objects), []);
      assert.deepEqual(brokenRules(objects), []);
      assert.deepEqual(danglingReferences(objects, overlay === 'prod' ? required : {}), []);
    });
  }
}

test('a rendered set is the same each time', () => assert.equal(renderText('k8s/overlays/prod'), renderText('k8s/overlays/prod')));

const text = { dev: renderText('k8s/overlays/dev'), prod: renderText('k8s/overlays/prod'), ingress: renderText('k8s/overlays/prod', ['ingress', 'monitoring']), keda: renderText('k8s/overlays/prod', ['keda']) };
const deployment = (set, name) => named(set, 'Deployment', name);
const pod = (set, name) => podOf(deployment(set, name));
const container = (set, name) => pod(set, name).containers[0];
const policy = (set, name) => named(set, 'NetworkPolicy', name);
const config = (set, name) => set.find((o) => o.kind === 'ConfigMap' && o.metadata.name.startsWith(name)).data;
const route = (set) => named(set, 'HTTPRoute', 'sesior');
const scaler = (set) => named(set, 'HorizontalPodAutoscaler', 'realtime');

// One change of a good set for each way of being wrong: what it breaks, where, how.
const WRONG = {
  'runs as a number that is not root': [
    (set) => delete pod(set, 'rest').securityContext.runAsUser,
    (set) => (pod(set, 'session').securityContext.runAsNonRoot = false),
    (set) => (container(set, 'realtime').securityContext.runAsUser = 0),
  ],
  'has the runtime’s system call filter': [(set) => (pod(set, 'rest').securityContext.seccompProfile.type = 'Unconfined')],
  'keeps out of its node': [(set) => (pod(set, 'rest').hostNetwork = true), (set) => pod(set, 'session').volumes.push({ name: 'x', hostPath: { path: '/' } })],
  'cannot write to its root': [(set) => (container(set, 'rest').securityContext.readOnlyRootFilesystem = false)],
  'has no capabilities': [(set) => (container(set, 'rest').securityContext.capabilities.drop = ['NET_RAW']), (set) => (container(set, 'rest').securityContext.capabilities.add = ['NET_BIND_SERVICE'])],
  'cannot gain privileges': [(set) => delete container(set, 'rest').securityContext.allowPrivilegeEscalation],
  'has an account of its own, without a token': [
    (set) => (pod(set, 'rest').serviceAccountName = 'session'),
    (set) => (pod(set, 'rest').automountServiceAccountToken = true),
    (set) => delete pod(set, 'rest').serviceAccountName,
  ],
  'gets no variables of other Services': [(set) => delete pod(set, 'rest').enableServiceLinks],
  'says what it needs': [
    (set) => delete container(set, 'rest').resources.limits,
    (set) => delete container(set, 'rest').resources.requests.cpu,
    (set) => (container(set, 'rest').resources.limits.cpu = '1'),
  ],
  'is asked whether it has started, lives and is ready': [(set) => delete container(set, 'session').readinessProbe],
  'lives by itself': [
    (set) => (container(set, 'rest').livenessProbe.httpGet.path = '/readyz'),
    { of: 'dev', change: (set) => delete container(set, 'session').livenessProbe.grpc.service },
    (set) => (container(set, 'rest').livenessProbe = { exec: { command: ['redis-cli', 'ping'] } }),
  ],
  'names the version of its image': [(set) => (container(set, 'rest').image = 'sesior/rest:latest'), (set) => (container(set, 'rest').image = 'registry:5000/sesior/rest')],
  'has the time to end': [
    (set) => (pod(set, 'realtime').terminationGracePeriodSeconds = 60),
    (set) => delete container(set, 'rest').lifecycle,
    (set) => (config(set, 'realtime').SESIOR_REALTIME_STOP_TIMEOUT = '10m'),
    (set) => (config(set, 'realtime').SESIOR_REALTIME_DRAIN_RATE = '100'),
  ],
  'is never fewer while it rolls': [(set) => (deployment(set, 'rest').spec.strategy.rollingUpdate.maxUnavailable = 1), (set) => delete deployment(set, 'rest').spec.minReadySeconds],
  'may lose a pod to the drain of a node, and only one': [
    (set) => (named(set, 'PodDisruptionBudget', 'rest').spec = { ...named(set, 'PodDisruptionBudget', 'rest').spec, maxUnavailable: undefined, minAvailable: 3 }),
    (set) => (named(set, 'PodDisruptionBudget', 'rest').spec.selector.matchLabels['app.kubernetes.io/name'] = 'session'),
  ],
  'has one autoscaler, of two pods and more': [
    (set) => (deployment(set, 'realtime').spec.replicas = 3),
    (set) => (scaler(set).spec.minReplicas = 1),
    (set) => set.push(...parse(text.keda).filter((o) => o.kind === 'ScaledObject')),
    (set) => set.splice(set.indexOf(scaler(set)), 1),
  ],
  'grows by connections and CPU, shrinks slowly': [
    (set) => (scaler(set).spec.metrics[0].pods.target.averageValue = '15000'),
    (set) => scaler(set).spec.metrics.pop(),
    (set) => (scaler(set).spec.behavior.scaleDown.stabilizationWindowSeconds = 0),
  ],
  'is spread over zones and nodes': [(set) => pod(set, 'realtime').topologySpreadConstraints.pop()],
  'is closed to the network unless opened': [
    (set) => set.splice(set.indexOf(policy(set, 'default-deny')), 1),
    (set) => delete policy(set, 'rest').spec.ingress[0].from,
    (set) => (policy(set, 'session').spec.egress[0].to = [{ ipBlock: { cidr: '0.0.0.0/0' } }]),
  ],
  'lets only session reach Redis': [
    (set) => policy(set, 'realtime').spec.egress.push(structuredClone(policy(set, 'session').spec.egress[0])),
    (set) => pod(set, 'rest').volumes.push({ name: 'redis', secret: { secretName: 'sesior-redis' } }),
    { of: 'dev', change: (set) => policy(set, 'redis').spec.ingress[0].from.push({ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'rest' } } }) },
  ],
  'finds every replica of session by name': [(set) => delete named(set, 'Service', 'session').spec.clusterIP],
  'needs no affinity': [(set) => (named(set, 'Service', 'realtime').spec.sessionAffinity = 'ClientIP')],
  'leaves quiet sockets open': [
    (set) => (route(set).spec.rules[0].timeouts.request = '30s'),
    (set) => delete route(set).spec.rules[0].timeouts,
    { of: 'ingress', change: (set) => delete named(set, 'Ingress', 'sesior').metadata.annotations['nginx.ingress.kubernetes.io/proxy-read-timeout'] },
  ],
  'has no secret in git but those of development': [
    (set) => set.push({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x', namespace: 'sesior' }, stringData: { url: 'redis://:hunter2@redis' } }),
    (set) => (config(set, 'session').SESIOR_SESSION_COOKIE_SECRET = 'hunter2'),
  ],
  'lives in a restricted namespace': [(set) => (set.find((o) => o.kind === 'Namespace').metadata.labels = {}), (set) => (deployment(set, 'rest').metadata.namespace = 'default')],
  'sets what its binary reads': [(set) => (config(set, 'rest').SESIOR_REST_TREADS = '2')],
  'says how many threads it has': [(set) => delete config(set, 'realtime').SESIOR_REALTIME_THREADS],
  'watches metrics that exist': [
    (set) => (scaler(set).spec.metrics[0].pods.metric.name = 'sesior_realtime_conections'),
    { of: 'ingress', change: (set) => (named(set, 'PrometheusRule', 'sesior').spec.groups[0].rules[0].expr = 'sesior_session_redis_down > 0') },
  ],
};

function spoiled(wrong) {
  const { of = 'prod', change = wrong } = typeof wrong === 'function' ? {} : wrong;
  const set = parse(text[of]);
  change(set);
  return set;
}

for (const rule of Object.keys(RULES)) {
  test(`is refused: what breaks "${rule}"`, () => {
    assert.ok(WRONG[rule]?.length > 0, 'nothing is shown to this rule');
    for (const wrong of WRONG[rule]) assert.notDeepEqual([...RULES[rule](spoiled(wrong))], [], `passed: ${wrong.change ?? wrong}`);
  });
}

const DANGLING = [
  (set) => (named(set, 'Service', 'rest').spec.selector['app.kubernetes.io/name'] = 'web'),
  (set) => (named(set, 'Service', 'rest').spec.ports[0].targetPort = 'https'),
  (set) => (route(set).spec.rules[0].backendRefs[0].name = 'sockets'),
  (set) => (route(set).spec.rules[1].backendRefs[0].port = 8080),
  { of: 'ingress', change: (set) => (named(set, 'Ingress', 'sesior').spec.rules[0].http.paths[0].backend.service.port.name = 'ws') },
  { of: 'ingress', change: (set) => (named(set, 'PodMonitor', 'sesior').spec.podMetricsEndpoints[0].port = 'metrics') },
  { of: 'keda', change: (set) => (named(set, 'ScaledObject', 'realtime').spec.scaleTargetRef.name = 'sockets') },
  (set) => (scaler(set).spec.scaleTargetRef.name = 'sockets'),
  (set) => (named(set, 'PodDisruptionBudget', 'rest').spec.selector.matchLabels['app.kubernetes.io/name'] = 'web'),
  (set) => (deployment(set, 'rest').spec.selector.matchLabels = { 'app.kubernetes.io/part-of': 'sesior' }),
  (set) => (policy(set, 'rest').spec.egress[0].to[0].podSelector.matchLabels['app.kubernetes.io/name'] = 'sessions'),
  (set) => (policy(set, 'rest').spec.egress[0].ports[0].port = 7100 + 1),
  (set) => (policy(set, 'realtime').spec.ingress[1].ports[0].port = 'peer'),
  (set) => (pod(set, 'session').volumes[0].secret.secretName = 'redis'),
  (set) => (container(set, 'session').volumeMounts[0].mountPath = '/etc/redis'),
  (set) => container(set, 'session').volumeMounts.pop(),
  (set) => (config(set, 'session').SESIOR_SESSION_REDIS_URL_FILE = '/etc/sesior/redis/uri'),
  (set) => (config(set, 'rest').SESIOR_REST_SESSION_ADDRESSES = 'session:7101'),
  (set) => (config(set, 'rest').SESIOR_REST_LISTEN = '0.0.0.0:8081'),
  (set) => (container(set, 'rest').envFrom[0].configMapRef.name = 'rest'),
  (set) => (container(set, 'rest').readinessProbe.httpGet.port = 'http2'),
  (set) => (container(set, 'realtime').env = container(set, 'realtime').env.filter((e) => e.name !== 'POD_IP')),
];

test('names, ports, keys and selectors that lead nowhere are found', () => {
  for (const wrong of DANGLING) assert.notDeepEqual(danglingReferences(spoiled(wrong), required), [], `passed: ${wrong.change ?? wrong}`);
  assert.notDeepEqual(danglingReferences(parse(text.prod), { ...required, 'sesior-redis': ['uri'] }), []);
});

test('fields that Kubernetes does not know, types that it does not take, and fields that it needs are found', () => {
  for (const wrong of [
    (set) => (pod(set, 'rest').securityContexts = {}),
    (set) => (container(set, 'rest').livenessProbe.periodSecond = 3),
    (set) => (deployment(set, 'rest').spec.replicas = '3'),
    (set) => (container(set, 'rest').ports[0].containerPort = '8080'),
    (set) => (container(set, 'rest').resources.limits.memory = 160),
    (set) => (pod(set, 'rest').enableServiceLinks = 'false'),
    (set) => (config(set, 'rest').SESIOR_REST_THREADS = 2),
    (set) => delete container(set, 'rest').name,
    (set) => delete deployment(set, 'rest').spec.selector,
    (set) => (scaler(set).apiVersion = 'autoscaling/v3'),
    (set) => (route(set).spec.rules[0].timeout = {}),
    (set) => (route(set).spec.rules[0].backendRefs[0].port = '80'),
    { of: 'ingress', change: (set) => (named(set, 'PrometheusRule', 'sesior').spec.groups[0].rules[0].expression = 'up') },
    { of: 'keda', change: (set) => delete named(set, 'ScaledObject', 'realtime').spec.triggers },
  ]) {
    assert.notDeepEqual(schemaProblems(spoiled(wrong)), [], `passed: ${wrong.change ?? wrong}`);
  }
});
