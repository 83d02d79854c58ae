// Every name, port, key and selector in a rendered set leads to something in it. `required` are Secrets that come from
// outside: {name: [key...]}.
import { containersOf, environmentOf, labelsOf, named, nameOf, ofKind, podOf, selects, serviceOf, workloads } from './set.mjs';

const portsOf = (workload) => containersOf(workload).flatMap((c) => c.ports ?? []);
const hasPort = (workload, port) => portsOf(workload).some((p) => (typeof port === 'number' ? p.containerPort : p.name) === port);

// A port of a Service, by number or name.
const hasServicePort = (service, port) => service.spec.ports.some((p) => p.port === port || p.name === port);

function* services(objects) {
  for (const service of ofKind(objects, 'Service')) {
    if (!service.spec.selector) continue;
    const chosen = workloads(objects).filter((w) => selects({ matchLabels: service.spec.selector }, labelsOf(w)));
    if (chosen.length !== 1) yield `${nameOf(service)} selects ${chosen.length} workloads`;
    for (const workload of chosen) for (const { port, targetPort = port } of service.spec.ports) if (!hasPort(workload, targetPort)) yield `${nameOf(service)}: ${nameOf(workload)} has no port ${targetPort}`;
  }
}

function* backends(objects) {
  const check = function* (object, name, port) {
    const service = named(objects, 'Service', name);
    if (!service) yield `${nameOf(object)}: no Service ${name}`;
    else if (!hasServicePort(service, port)) yield `${nameOf(object)}: Service ${name} has no port ${port}`;
  };
  for (const route of ofKind(objects, 'HTTPRoute')) for (const rule of route.spec.rules) for (const { name, port } of rule.backendRefs) yield* check(route, name, port);
  for (const ingress of ofKind(objects, 'Ingress')) {
    for (const { http } of ingress.spec.rules) for (const { backend } of http.paths) yield* check(ingress, backend.service.name, backend.service.port.name ?? backend.service.port.number);
  }
}

function* targets(objects) {
  for (const scaler of objects.filter((o) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(o.kind))) {
    const { kind = 'Deployment', name } = scaler.spec.scaleTargetRef;
    if (!named(objects, kind, name)) yield `${nameOf(scaler)}: no ${kind} ${name}`;
  }
  for (const budget of ofKind(objects, 'PodDisruptionBudget')) if (!workloads(objects).some((w) => selects(budget.spec.selector, labelsOf(w)))) yield `${nameOf(budget)} selects nothing`;
  for (const monitor of ofKind(objects, 'PodMonitor')) {
    const chosen = workloads(objects).filter((w) => selects(monitor.spec.selector, labelsOf(w)));
    if (chosen.length === 0) yield `${nameOf(monitor)} selects nothing`;
    for (const { port } of monitor.spec.podMetricsEndpoints) for (const w of chosen) if (!hasPort(w, port)) yield `${nameOf(monitor)}: ${nameOf(w)} has no port ${port}`;
  }
  for (const workload of workloads(objects)) {
    if (!selects(workload.spec.selector, labelsOf(workload))) yield `${nameOf(workload)} does not select its own pods`;
    const others = workloads(objects).filter((w) => w !== workload && selects(workload.spec.selector, labelsOf(w)));
    for (const other of others) yield `${nameOf(workload)} selects pods of ${nameOf(other)}`;
  }
}

function* policies(objects) {
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    const { podSelector, ingress = [], egress = [] } = policy.spec;
    const chosen = workloads(objects).filter((w) => selects(podSelector, labelsOf(w)));
    if (chosen.length === 0) yield `${nameOf(policy)} selects nothing`;
    const inside = (peer) => (peer.podSelector && !peer.namespaceSelector ? workloads(objects).filter((w) => selects(peer.podSelector, labelsOf(w))) : null);
    for (const { from } of ingress) for (const peer of from ?? []) if (inside(peer)?.length === 0) yield `${nameOf(policy)} lets in pods that do not exist: ${JSON.stringify(peer)}`;
    for (const { ports } of ingress) for (const { port } of ports ?? []) for (const w of chosen) if (typeof port === 'string' && !hasPort(w, port) && serviceOf(w)) yield `${nameOf(policy)}: ${nameOf(w)} has no port ${port}`;
    for (const { to, ports } of egress) {
      for (const peer of to ?? []) {
        const reached = inside(peer);
        if (reached?.length === 0) yield `${nameOf(policy)} leads to pods that do not exist: ${JSON.stringify(peer)}`;
        for (const w of reached ?? []) for (const { port } of ports ?? []) if (!hasPort(w, port)) yield `${nameOf(policy)}: ${nameOf(w)} has no port ${port}`;
      }
    }
  }
}

function keysOf(objects, required, name) {
  const secret = named(objects, 'Secret', name);
  if (secret) return Object.keys({ ...secret.data, ...secret.stringData });
  return required[name] ?? null;
}

function* pods(objects, required) {
  for (const workload of workloads(objects)) {
    const pod = podOf(workload);
    const claims = (workload.spec.volumeClaimTemplates ?? []).map((c) => ({ name: c.metadata.name }));
    const volumes = [...(pod.volumes ?? []), ...claims];
    const at = (problem) => `${nameOf(workload)}: ${problem}`;
    if (pod.serviceAccountName && !named(objects, 'ServiceAccount', pod.serviceAccountName)) yield at(`no ServiceAccount ${pod.serviceAccountName}`);
    for (const { secret, configMap, name } of volumes) {
      if (secret && !keysOf(objects, required, secret.secretName)) yield at(`volume ${name}: no Secret ${secret.secretName}`);
      if (configMap && !named(objects, 'ConfigMap', configMap.name)) yield at(`volume ${name}: no ConfigMap ${configMap.name}`);
    }
    for (const container of containersOf(workload)) {
      const mounts = container.volumeMounts ?? [];
      for (const mount of mounts) if (!volumes.some((v) => v.name === mount.name)) yield at(`no volume ${mount.name}`);
      for (const volume of volumes) if (!mounts.some((m) => m.name === volume.name)) yield at(`volume ${volume.name} is not mounted`);
      for (const { configMapRef, secretRef } of container.envFrom ?? []) {
        if (configMapRef && !named(objects, 'ConfigMap', configMapRef.name)) yield at(`no ConfigMap ${configMapRef.name}`);
        if (secretRef && !keysOf(objects, required, secretRef.name)) yield at(`no Secret ${secretRef.name}`);
      }
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        const port = container[probe]?.httpGet?.port ?? container[probe]?.grpc?.port ?? container[probe]?.tcpSocket?.port;
        if (port !== undefined && !hasPort(workload, port)) yield at(`${probe} asks port ${port}`);
      }
      const environment = environmentOf(objects, container);
      for (const [name, value] of Object.entries(environment)) {
        for (const [, other] of String(value ?? '').matchAll(/\$\(([A-Z_]+)\)/g)) if (!(container.env ?? []).some((e) => e.name === other)) yield at(`${name}: no variable ${other}`);
        if (/_LISTEN$/.test(name) && !hasPort(workload, Number(/:(\d+)$/.exec(value)?.[1]))) yield at(`${name}: port of ${value} is not told`);
        // Absolute paths are files of mounted Secrets, but for what is in the image.
        if (/^\/etc\/sesior\//.test(value)) {
          const mount = mounts.find((m) => value.startsWith(`${m.mountPath}/`));
          const secret = volumes.find((v) => v.name === mount?.name)?.secret;
          const file = mount && value.slice(mount.mountPath.length + 1);
          const key = secret?.items ? secret.items.find((i) => i.path === file)?.key : file;
          if (!secret || !keysOf(objects, required, secret.secretName)?.includes(key)) yield at(`${name}: no file ${value}`);
        }
        if (/_SESSION_ADDRESSES$/.test(name)) {
          for (const address of value.split(',')) {
            const [host, port] = address.split(':');
            const service = named(objects, 'Service', host);
            if (!service || !hasServicePort(service, Number(port))) yield at(`${name}: nothing answers at ${address}`);
          }
        }
      }
    }
  }
}

// The ports of Services are those on which the other side listens.
export function danglingReferences(objects, required = {}) {
  return [...services(objects), ...backends(objects), ...targets(objects), ...policies(objects), ...pods(objects, required)];
}
