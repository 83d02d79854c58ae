// Strict types for manifests: every field must be one that Kubernetes knows, of its type, and every required one there.
// Kubernetes's own kinds are held to the generated models of its client (current version); kinds that others bring, to the
// models of npm's kubernetes-models, which accept unknown fields, so those that we use are listed here.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';

const dist = dirname(createRequire(import.meta.url).resolve('@kubernetes/client-node'));
const models = join(dist.endsWith('dist') ? dist : join(dist, 'dist'), 'gen/models');
// The package's own entry wants a newer Node; its models alone do not.
const classes = await import(join(models, 'all.js'));

const requiredOf = new Map();
function required(type) {
  if (!requiredOf.has(type)) {
    const file = join(models, `${type}.d.ts`);
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    requiredOf.set(type, [...text.matchAll(/^ {4}'([^']+)': /gm)].map((match) => match[1]));
  }
  return requiredOf.get(type);
}

function* walk(value, type, path) {
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (list) {
    if (!Array.isArray(value)) return yield `${path} is no list`;
    for (const [i, item] of value.entries()) yield* walk(item, list, `${path}[${i}]`);
  } else if (map) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return yield `${path} is no map`;
    for (const [key, item] of Object.entries(value)) yield* walk(item, map, `${path}.${key}`);
  } else if (type === 'any') {
    return;
  } else if (type === 'IntOrString') {
    if (typeof value !== 'string' && !Number.isInteger(value)) yield `${path} is neither a number nor a string`;
  } else if (['string', 'number', 'boolean'].includes(type)) {
    if (typeof value !== type) yield `${path} is no ${type}`;
  } else if (type === 'Date' || type === 'V1MicroTime') {
    if (Number.isNaN(Date.parse(value))) yield `${path} is no time`;
  } else if (classes[type]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return yield `${path} is no object`;
    const fields = new Map(classes[type].getAttributeTypeMap().map((field) => [field.baseName, field]));
    for (const [name, item] of Object.entries(value)) {
      if (!fields.has(name)) yield `${path}.${name} is unknown`;
      else yield* walk(item, fields.get(name).type, `${path}.${name}`);
    }
    for (const field of classes[type].getAttributeTypeMap()) {
      if (required(type).includes(field.name) && value[field.baseName] === undefined) yield `${path}.${field.baseName} is missing`;
    }
  } else {
    yield `${path} has a type that this test does not know: ${type}`;
  }
}

// Field names by where they stand; a list stands for each of its items, "*" for any name, null for a value of any shape.
const behavior = { stabilizationWindowSeconds: null, policies: { type: null, value: null, periodSeconds: null }, selectPolicy: null };
const FOREIGN = {
  'gateway.networking.k8s.io/v1/HTTPRoute': {
    model: HTTPRoute,
    spec: {
      parentRefs: { name: null, namespace: null, sectionName: null },
      hostnames: null,
      rules: { matches: { path: { type: null, value: null } }, timeouts: { request: null, backendRequest: null }, backendRefs: { name: null, port: null } },
    },
  },
  'keda.sh/v1alpha1/ScaledObject': {
    model: ScaledObject,
    spec: {
      scaleTargetRef: { name: null }, minReplicaCount: null, maxReplicaCount: null, fallback: { failureThreshold: null, replicas: null },
      triggers: { type: null, metricType: null, metadata: { '*': null } },
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleUp: behavior, scaleDown: behavior } } },
    },
  },
  'monitoring.coreos.com/v1/PodMonitor': {
    model: PodMonitor,
    spec: {
      selector: { matchLabels: { '*': null }, matchExpressions: { key: null, operator: null, values: null } },
      podMetricsEndpoints: { port: null, path: null, interval: null },
    },
  },
  'monitoring.coreos.com/v1/PrometheusRule': {
    model: PrometheusRule,
    spec: { groups: { name: null, rules: { alert: null, expr: null, for: null, labels: { severity: null }, annotations: { summary: null } } } },
  },
};

function* unlisted(value, fields, path) {
  if (fields === null) return;
  for (const item of Array.isArray(value) ? value : [value]) {
    if (typeof item !== 'object' || item === null) return yield `${path} is no object`;
    for (const [name, inner] of Object.entries(item)) {
      const known = name in fields ? fields[name] : fields['*'];
      if (known === undefined) yield `${path}.${name} is unknown`;
      else yield* unlisted(inner, known, `${path}.${name}`);
    }
  }
}

function* foreign(object, { model: Model, spec }) {
  for (const name of Object.keys(object)) if (!['apiVersion', 'kind', 'metadata', 'spec'].includes(name)) yield `${name} is unknown`;
  yield* unlisted(object.spec, spec, 'spec');
  try {
    new Model(object).validate();
  } catch (error) {
    yield error.message;
  }
}

// What is wrong with these objects, one line a problem.
export function schemaProblems(objects) {
  const problems = [];
  for (const object of objects) {
    const who = `${object.kind} ${object.metadata?.name}`;
    const other = FOREIGN[`${object.apiVersion}/${object.kind}`];
    const version = String(object.apiVersion).split('/').at(-1);
    const type = version[0]?.toUpperCase() + version.slice(1) + object.kind;
    const found = other ? foreign(object, other) : classes[type] ? walk(object, type, object.kind) : [`no model of ${object.apiVersion} ${object.kind}`];
    for (const problem of found) problems.push(`${who}: ${problem}`);
  }
  return problems;
}
