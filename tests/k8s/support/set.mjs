// Looks into a rendered set of objects: who owns pods, what a selector selects, what a container's environment says.
export const workloads = (objects) => objects.filter((o) => ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].includes(o.kind));
export const ofKind = (objects, kind) => objects.filter((o) => o.kind === kind);
export const named = (objects, kind, name) => objects.find((o) => o.kind === kind && o.metadata.name === name);
export const podOf = (workload) => workload.spec.template.spec;
export const labelsOf = (workload) => workload.spec.template.metadata.labels ?? {};
export const containersOf = (workload) => [...podOf(workload).containers, ...(podOf(workload).initContainers ?? [])];
export const nameOf = (object) => `${object.kind} ${object.metadata.name}`;

export function selects(selector, labels) {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator === 'In') return values.includes(labels[key]);
      if (operator === 'NotIn') return !values.includes(labels[key]);
      return (operator === 'Exists') === key in labels;
    })
  );
}

// The plain values of a container's environment, those of ConfigMaps in it.
export function environmentOf(objects, container) {
  const environment = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    Object.assign(environment, configMapRef && named(objects, 'ConfigMap', configMapRef.name)?.data);
  }
  for (const { name, value } of container.env ?? []) environment[name] = value;
  return environment;
}

// sesior-session, sesior-rest and sesior-realtime by the names they have here; null for what is not ours.
export const serviceOf = (workload) => ['session', 'rest', 'realtime'].find((name) => labelsOf(workload)['app.kubernetes.io/name'] === name) ?? null;

// Replicas that are there at least.
export function leastReplicas(objects, workload) {
  const name = workload.metadata.name;
  const hpa = ofKind(objects, 'HorizontalPodAutoscaler').find((o) => o.spec.scaleTargetRef.name === name);
  const keda = ofKind(objects, 'ScaledObject').find((o) => o.spec.scaleTargetRef.name === name);
  return hpa?.spec.minReplicas ?? keda?.spec.minReplicaCount ?? workload.spec.replicas ?? 1;
}
