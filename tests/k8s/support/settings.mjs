// What the binaries read and tell, from their sources, so that it is known without a build.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './render.mjs';

// Every variable of a service: SESIOR_REST_LISTEN, ..., with those that name files of secrets.
export function variablesOf(service) {
  // REST and realtime have those of the session client besides.
  const shared = service === 'session' ? [] : ['libs/session_client/src/credentials.cpp'];
  const text = [`services/${service}/config.cpp`, ...shared].map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
  const names = new Set();
  for (const [, secret, flag] of text.matchAll(/flags\.Add(Secret)?\(\s*"([a-z-]+)"/g)) {
    const name = `SESIOR_${service}_${flag}`.toUpperCase().replaceAll('-', '_');
    names.add(name);
    if (secret) names.add(`${name}_FILE`);
  }
  return names;
}

// Every metric that any of our code names.
export function metrics() {
  const found = execFileSync('git', ['-C', root, 'grep', '-hoE', '"sesior_[a-z_]+"', '--', 'services/*.hpp', 'services/*.cpp', 'libs/*.cpp', 'libs/*.hpp'], { encoding: 'utf8' });
  return new Set(found.trim().split('\n').map((line) => line.slice(1, -1)));
}

// "5s", "500ms", "2h" in seconds.
export function seconds(text) {
  const [, number, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (!unit) throw new Error(`"${text}" is no duration`);
  return Number(number) * { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }[unit];
}
