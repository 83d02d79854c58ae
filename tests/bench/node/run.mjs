// Runs the reference application like deploy/run runs SESIOR, with the same flags and the same line of JSON.
// --realtime N is the number of replicas; each of them also serves REST.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { httpReady } from '../../../deploy/lib/ready.mjs';
import { runSystem } from '../../../deploy/lib/system.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');

process.exitCode = await runSystem({
  argv: process.argv.slice(2),
  title: 'tests/bench/node/run.mjs',
  defaultDataDir: join(root, 'build/bench/node-data'),
  portsOf: (counts) => counts.realtime,
  describe({ counts, host, nextPort, redisUrl, cookieSecret, allowedOrigins }) {
    const addresses = Array.from({ length: counts.realtime }, () => `${host}:${nextPort()}`);
    const urls = addresses.map((address) => `http://${address}`);
    const replica = (address, i) => ({
      kind: 'realtime',
      name: `node-${i}`,
      command: process.execPath,
      args: [
        join(here, 'server.mjs'), '--listen', address, '--redis-url', redisUrl, '--cookie-secret', cookieSecret,
        '--web-root', join(root, 'services/web/public'), '--realtime-urls', urls.join(','),
        '--allowed-origins', [...urls, ...urls.map((url) => url.replace(host, 'localhost')), ...allowedOrigins].join(','),
      ],
      env: { NODE_ENV: 'production' },
      ready: () => httpReady(`http://${address}/readyz`),
    });
    return { stages: [addresses.map(replica)], rest: urls[0], realtime: urls, session: [] };
  },
});
