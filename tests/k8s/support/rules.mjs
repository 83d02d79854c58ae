// What a set of manifests must hold to. Each rule takes the objects of a rendered set and yields its problems;
// manifests.test.mjs shows for each a change of a good set that it refuses.
import { containersOf, environmentOf, labelsOf, leastReplicas, named, nameOf, ofKind, podOf, selects, serviceOf, workloads } from './set.mjs';
import { metrics, seconds, variablesOf } from './settings.mjs';

const eachPod = (check) =>
  function* (objects) {
    for (const workload of workloads(objects)) for (const problem of check(podOf(workload), workload, objects)) yield `${nameOf(workload)}: ${problem}`;
  };
const eachContainer = (check) =>
  eachPod(function* (pod, workload, objects) {
    for (const container of containersOf(workload)) for (const problem of check(container, workload, objects)) yield `container ${container.name}: ${problem}`;
  });

const QUANTITY = { '': 1, m: 0.001, k: 1e3, M: 1e6, G: 1e9, Ki: 1024, Mi: 1 << 20, Gi: 1 << 30 };
export function quantity(text) {
  const [, number, unit] = /^([\d.]+)(m|k|M|G|Ki|Mi|Gi)?$/.exec(String(text)) ?? [];
  if (number === undefined) throw new Error(`"${text}" is no quantity`);
  return Number(number) * QUANTITY[unit ?? ''];
}

const asks = (probe) => JSON.stringify(probe?.httpGet ?? probe?.grpc ?? probe?.tcpSocket ?? probe?.exec ?? null);
const REDIS_PORTS = [6379, 26379, 'redis'];
// Longest silence on a poll or a quiet WebSocket: ping interval and timeout of Engine.IO's defaults.
const QUIET_SECONDS = 45;

export const RULES = {
  'runs as a number that is not root': eachPod(function* (pod) {
    const { runAsNonRoot, runAsUser } = pod.securityContext ?? {};
    if (runAsNonRoot !== true) yield 'runAsNonRoot is not true';
    if (!(runAsUser >= 10_000)) yield 'runAsUser is not a number of 10000 or more';
    for (const { securityContext } of pod.containers) if (securityContext?.runAsUser !== undefined) yield 'a container has a runAsUser of its own';
  }),
  'has the runtime’s system call filter': eachPod(function* (pod) {
    if (pod.securityContext?.seccompProfile?.type !== 'RuntimeDefault') yield 'seccompProfile is not RuntimeDefault';
  }),
  'keeps out of its node': eachPod(function* (pod) {
    for (const door of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[door]) yield `${door} is set`;
    for (const volume of pod.volumes ?? []) if (volume.hostPath) yield `volume ${volume.name} is a path of the node`;
    for (const container of pod.containers) for (const port of container.ports ?? []) if (port.hostPort) yield `port ${port.name} is a port of the node`;
  }),
  'cannot write to its root': eachContainer(function* ({ securityContext }) {
    if (securityContext?.readOnlyRootFilesystem !== true) yield 'readOnlyRootFilesystem is not true';
  }),
  'has no capabilities': eachContainer(function* ({ securityContext }) {
    const { drop = [], add = [] } = securityContext?.capabilities ?? {};
    if (!drop.includes('ALL')) yield 'does not drop ALL';
    if (add.length > 0) yield `adds ${add}`;
  }),
  'cannot gain privileges': eachContainer(function* ({ securityContext }) {
    if (securityContext?.allowPrivilegeEscalation !== false) yield 'allowPrivilegeEscalation is not false';
    if (securityContext?.privileged) yield 'is privileged';
  }),
  'has an account of its own, without a token': function* (objects) {
    const taken = new Map();
    for (const workload of workloads(objects)) {
      const pod = podOf(workload);
      const account = named(objects, 'ServiceAccount', pod.serviceAccountName);
      if (!account) yield `${nameOf(workload)}: no ServiceAccount ${pod.serviceAccountName}`;
      if (taken.has(pod.serviceAccountName)) yield `${nameOf(workload)}: shares its account with ${taken.get(pod.serviceAccountName)}`;
      taken.set(pod.serviceAccountName, nameOf(workload));
      if (account?.automountServiceAccountToken !== false || pod.automountServiceAccountToken !== false) yield `${nameOf(workload)}: a token is mounted`;
    }
  },
  'gets no variables of other Services': eachPod(function* (pod) {
    if (pod.enableServiceLinks !== false) yield 'enableServiceLinks is not false';
  }),
  'says what it needs': eachContainer(function* ({ resources = {} }) {
    const { requests = {}, limits = {} } = resources;
    if (!requests.cpu || !requests.memory) yield 'requests no CPU or no memory';
    if (!limits.memory || quantity(limits.memory) !== quantity(requests.memory ?? 0)) yield 'its memory limit is not what it requests';
    if (limits.cpu) yield 'has a CPU limit, which throttles';
  }),
  'is asked whether it has started, lives and is ready': eachContainer(function* (container) {
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) if (!container[probe]) yield `no ${probe}`;
  }),
  // An outage of Redis or of another service must restart nothing.
  'lives by itself': eachContainer(function* ({ livenessProbe, startupProbe, readinessProbe }) {
    if (livenessProbe && asks(livenessProbe) === asks(readinessProbe)) yield 'asks the same for life and readiness';
    for (const probe of [livenessProbe, startupProbe].filter(Boolean)) {
      const alone = probe.httpGet?.path === '/livez' || probe.grpc?.service === 'live' || probe.tcpSocket;
      if (!alone) yield `its life may depend on others: ${asks(probe)}`;
    }
  }),
  'names the version of its image': eachContainer(function* ({ image }) {
    const [, tag] = /(?::([^/:@]+)|@sha256:[0-9a-f]{64})$/.exec(image) ?? [];
    if (!/@sha256:/.test(image) && (tag === undefined || tag === 'latest')) yield `image ${image}`;
  }),
  'has the time to end': eachPod(function* (pod, workload, objects) {
    const service = serviceOf(workload);
    if (!service) return;
    const [container] = pod.containers;
    const environment = environmentOf(objects, container);
    const stop = environment[`SESIOR_${service.toUpperCase()}_STOP_TIMEOUT`];
    const pause = container.lifecycle?.preStop?.sleep?.seconds ?? Number(/sleep (\d+)/.exec(container.lifecycle?.preStop?.exec?.command?.join(' '))?.[1] ?? 0);
    if (!(pause >= 5)) yield 'preStop is shorter than the 5 s in which balancers forget it';
    if (stop === undefined) return yield 'its stop timeout is not set';
    if (!(pod.terminationGracePeriodSeconds >= pause + seconds(stop) + 10)) yield `is killed ${pod.terminationGracePeriodSeconds} s after being told; it may take ${pause} + ${stop}, and 10 s more`;
    const delay = environment[`SESIOR_${service.toUpperCase()}_DRAIN_DELAY`];
    const clients = Number(environment.SESIOR_REALTIME_MAX_CONNECTIONS ?? 0);
    const pace = Number(environment.SESIOR_REALTIME_DRAIN_RATE ?? 1000);
    // What is left when four fifths of the stop timeout are over is closed at once.
    const need = delay ? seconds(delay) + clients / pace : 0;
    if (!(need <= 0.8 * seconds(stop))) yield `closing ${clients} clients at ${pace} a second, after ${delay}, takes ${need} s of ${stop}`;
  }),
  'is never fewer while it rolls': function* (objects) {
    for (const workload of ofKind(objects, 'Deployment')) {
      const { maxUnavailable, maxSurge } = workload.spec.strategy?.rollingUpdate ?? {};
      if (maxUnavailable !== 0 || !(maxSurge >= 1)) yield `${nameOf(workload)}: not maxUnavailable 0 with a surge`;
      if (!(workload.spec.minReadySeconds > 0)) yield `${nameOf(workload)}: no minReadySeconds`;
    }
  },
  'may lose a pod to the drain of a node, and only one': function* (objects) {
    for (const workload of ofKind(objects, 'Deployment')) {
      const budgets = ofKind(objects, 'PodDisruptionBudget').filter((o) => selects(o.spec.selector, labelsOf(workload)));
      if (budgets.length !== 1) yield `${nameOf(workload)}: ${budgets.length} budgets`;
      const { minAvailable, maxUnavailable } = budgets[0]?.spec ?? {};
      if (minAvailable !== undefined && minAvailable >= leastReplicas(objects, workload)) yield `${nameOf(workload)}: its node can never be drained`;
      if (minAvailable === undefined && maxUnavailable !== 1) yield `${nameOf(workload)}: maxUnavailable is not 1`;
    }
  },
  'has one autoscaler, of two pods and more': function* (objects) {
    for (const workload of ofKind(objects, 'Deployment')) {
      const scalers = objects.filter((o) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(o.kind) && o.spec.scaleTargetRef.name === workload.metadata.name);
      if (scalers.length > 1) yield `${nameOf(workload)}: ${scalers.map(nameOf).join(' and ')} pull at it`;
      if (scalers.length > 0 && workload.spec.replicas !== undefined) yield `${nameOf(workload)}: replicas are set beside an autoscaler`;
      if (leastReplicas(objects, workload) < 2) yield `${nameOf(workload)}: one replica`;
      if (workload.metadata.name === 'realtime' && scalers.length === 0) yield `${nameOf(workload)}: no autoscaler`;
    }
  },
  'grows by connections and CPU, shrinks slowly': function* (objects) {
    const realtime = named(objects, 'Deployment', 'realtime');
    const limit = Number(environmentOf(objects, podOf(realtime).containers[0]).SESIOR_REALTIME_MAX_CONNECTIONS);
    const check = function* (connections, cpu, behavior) {
      if (!connections || Number(connections) > 0.8 * limit) yield `aims at ${connections} connections where a pod takes ${limit}`;
      if (!cpu) yield 'does not look at CPU';
      const { stabilizationWindowSeconds, policies } = behavior?.scaleDown ?? {};
      if (!(stabilizationWindowSeconds >= 300) || policies?.some((p) => p.type !== 'Pods' || p.value !== 1 || p.periodSeconds < 60)) yield 'shrinks too fast';
    };
    for (const hpa of ofKind(objects, 'HorizontalPodAutoscaler')) {
      const pods = hpa.spec.metrics.find((m) => m.pods?.metric.name === 'sesior_realtime_connections')?.pods.target.averageValue;
      for (const problem of check(pods, hpa.spec.metrics.find((m) => m.resource?.name === 'cpu'), hpa.spec.behavior)) yield `${nameOf(hpa)}: ${problem}`;
    }
    for (const keda of ofKind(objects, 'ScaledObject')) {
      const pods = keda.spec.triggers.find((t) => t.metadata.query?.includes('sesior_realtime_connections'))?.metadata.threshold;
      for (const problem of check(pods, keda.spec.triggers.find((t) => t.type === 'cpu'), keda.spec.advanced?.horizontalPodAutoscalerConfig?.behavior)) yield `${nameOf(keda)}: ${problem}`;
    }
  },
  'is spread over zones and nodes': function* (objects) {
    for (const workload of ofKind(objects, 'Deployment')) {
      const keys = (podOf(workload).topologySpreadConstraints ?? []).filter((c) => selects(c.labelSelector, labelsOf(workload))).map((c) => c.topologyKey);
      for (const key of ['topology.kubernetes.io/zone', 'kubernetes.io/hostname']) if (!keys.includes(key)) yield `${nameOf(workload)}: not over ${key}`;
    }
  },
  'is closed to the network unless opened': function* (objects) {
    const policies = ofKind(objects, 'NetworkPolicy');
    const deny = policies.some(({ spec }) => Object.keys(spec.podSelector).length === 0 && spec.policyTypes.length === 2 && !spec.ingress && !spec.egress);
    if (!deny) yield 'no policy denies everything';
    for (const policy of policies) {
      for (const { from, to, ports } of [...(policy.spec.ingress ?? []), ...(policy.spec.egress ?? [])]) {
        if (!(from ?? to)?.length || !ports?.length) yield `${nameOf(policy)}: open to anybody, or on any port`;
        for (const { ipBlock } of from ?? to ?? []) if (ipBlock && /\/0$/.test(ipBlock.cidr)) yield `${nameOf(policy)}: open to every address`;
      }
    }
  },
  'lets only session reach Redis': function* (objects) {
    const session = { 'app.kubernetes.io/name': 'session' };
    for (const policy of ofKind(objects, 'NetworkPolicy')) {
      const ours = (selector) => selector?.matchLabels?.['app.kubernetes.io/name'] === 'session';
      for (const rule of policy.spec.egress ?? []) {
        const reaches = rule.ports.some((p) => REDIS_PORTS.includes(p.port)) || rule.to.some((t) => t.podSelector?.matchLabels?.['app.kubernetes.io/name'] === 'redis');
        if (reaches && !ours(policy.spec.podSelector)) yield `${nameOf(policy)} opens the way to Redis`;
      }
      if (selects(policy.spec.podSelector, { 'app.kubernetes.io/name': 'redis' }) && !selects(policy.spec.podSelector, session)) {
        for (const rule of policy.spec.ingress ?? []) for (const from of rule.from) if (!ours(from.podSelector)) yield `${nameOf(policy)} lets others in`;
      }
    }
    for (const workload of workloads(objects)) {
      const text = JSON.stringify(podOf(workload));
      if (serviceOf(workload) !== 'session' && /sesior-redis|sesior-cookie|REDIS_URL/.test(text)) yield `${nameOf(workload)} is given what only session may know`;
    }
  },
  'finds every replica of session by name': function* (objects) {
    if (named(objects, 'Service', 'session')?.spec.clusterIP !== 'None') yield 'Service session is not headless';
  },
  'needs no affinity': function* (objects) {
    for (const service of ofKind(objects, 'Service')) if (service.spec.sessionAffinity === 'ClientIP') yield `${nameOf(service)} sticks`;
    for (const ingress of ofKind(objects, 'Ingress')) if (/affinity/.test(JSON.stringify(ingress.metadata.annotations))) yield `${nameOf(ingress)} sticks`;
  },
  'leaves quiet sockets open': function* (objects) {
    for (const route of ofKind(objects, 'HTTPRoute')) {
      for (const rule of route.spec.rules) {
        if (!rule.backendRefs.some((b) => b.name === 'realtime')) continue;
        const request = seconds(rule.timeouts?.request ?? '15s');
        if (request !== 0 && request < QUIET_SECONDS) yield `${nameOf(route)}: cuts sockets after ${request} s`;
      }
    }
    for (const ingress of ofKind(objects, 'Ingress')) {
      const read = Number(ingress.metadata.annotations?.['nginx.ingress.kubernetes.io/proxy-read-timeout'] ?? 60);
      if (read < 2 * QUIET_SECONDS) yield `${nameOf(ingress)}: cuts sockets after ${read} s`;
    }
  },
  'has no secret in git but those of development': function* (objects) {
    for (const secret of ofKind(objects, 'Secret')) {
      for (const [key, value] of Object.entries({ ...secret.data, ...secret.stringData })) {
        const text = secret.data?.[key] ? Buffer.from(value, 'base64').toString() : value;
        if (!/development only|^redis:\/\/redis:6379$/.test(text)) yield `${nameOf(secret)}: ${key} has a value`;
      }
    }
    for (const workload of workloads(objects)) {
      for (const container of containersOf(workload)) {
        for (const [name, value] of Object.entries(environmentOf(objects, container))) if (/(SECRET|TOKENS?|PASSWORD|REDIS_URL)$/.test(name) && value) yield `${nameOf(workload)}: ${name} is no file`;
      }
    }
  },
  'lives in a restricted namespace': function* (objects) {
    const spaces = ofKind(objects, 'Namespace');
    if (spaces.length === 0) yield 'no Namespace';
    for (const space of spaces) if (space.metadata.labels?.['pod-security.kubernetes.io/enforce'] !== 'restricted') yield `${nameOf(space)} enforces nothing`;
    for (const object of objects) if (object.kind !== 'Namespace' && object.metadata.namespace !== spaces[0]?.metadata.name) yield `${nameOf(object)} is elsewhere`;
  },
  'sets what its binary reads': eachContainer(function* (container, workload, objects) {
    const service = serviceOf(workload);
    if (!service) return;
    const known = variablesOf(service);
    for (const name of Object.keys(environmentOf(objects, container))) if (name.startsWith('SESIOR_') && !known.has(name)) yield `nothing reads ${name}`;
  }),
  // By default they follow the node's cores, which may be many more than a pod may use.
  'says how many threads it has': eachContainer(function* (container, workload, objects) {
    const service = serviceOf(workload);
    const variable = `SESIOR_${service?.toUpperCase()}_THREADS`;
    if (['rest', 'realtime'].includes(service) && !environmentOf(objects, container)[variable]) yield `${variable} is not set`;
  }),
  'watches metrics that exist': function* (objects) {
    const known = metrics();
    for (const object of objects) {
      if (!['PrometheusRule', 'HorizontalPodAutoscaler', 'ScaledObject', 'ConfigMap'].includes(object.kind)) continue;
      for (const [name] of JSON.stringify(object.spec ?? object.data).matchAll(/\bsesior_[a-z_]+/g)) {
        if (!known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, ''))) yield `${nameOf(object)}: nothing tells ${name}`;
      }
    }
  },
};

export function brokenRules(objects) {
  return Object.entries(RULES).flatMap(([rule, check]) => [...check(objects)].map((problem) => `${rule}: ${problem}`));
}
