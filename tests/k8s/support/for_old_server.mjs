// Takes a rendered set to Kubernetes 1.20, the newest server that can be built from Debian: the same objects under older
// versions, without fields that came later. What is dropped is held to strict types elsewhere (manifests.test.mjs).
import { containersOf, podOf, workloads } from './set.mjs';

export function forOldServer(objects) {
  const set = structuredClone(objects).filter((o) => o.kind !== 'HTTPRoute');  // no Gateway API here
  for (const object of set) {
    if (object.kind === 'PodDisruptionBudget') {
      object.apiVersion = 'policy/v1beta1';
      delete object.spec.unhealthyPodEvictionPolicy;
    }
    if (object.kind === 'HorizontalPodAutoscaler') {
      object.apiVersion = 'autoscaling/v2beta2';
      // No metrics-server: CPU is not known here.
      object.spec.metrics = object.spec.metrics.filter((m) => m.type === 'Pods');
      // The controller's own (5 s) in place of ten minutes.
      object.spec.behavior.scaleDown = { stabilizationWindowSeconds: 5, policies: [{ type: 'Pods', value: 1, periodSeconds: 5 }] };
    }
  }
  for (const workload of workloads(set)) {
    for (const constraint of podOf(workload).topologySpreadConstraints ?? []) delete constraint.matchLabelKeys;
    for (const container of containersOf(workload)) {
      container.imagePullPolicy = 'Never';
      const sleep = container.lifecycle?.preStop?.sleep;
      if (sleep) container.lifecycle.preStop = { exec: { command: ['sleep', String(sleep.seconds)] } };
      for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        const probe = container[name];
        if (!probe?.grpc) continue;
        delete probe.grpc;
        probe.httpGet = { path: name === 'readinessProbe' ? '/readyz' : '/livez', port: 'ops' };
      }
    }
    // No provisioner of volumes: the data lives as long as its pod.
    for (const claim of workload.spec.volumeClaimTemplates ?? []) podOf(workload).volumes = [...(podOf(workload).volumes ?? []), { name: claim.metadata.name, emptyDir: {} }];
    delete workload.spec.volumeClaimTemplates;
  }
  return set;
}
