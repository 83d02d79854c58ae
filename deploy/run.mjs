// All of SESIOR on this machine, by the binaries of the release build. deploy/run calls this; the processes are in
// lib/services.mjs, how they are run in lib/system.mjs.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { services } from './lib/services.mjs';
import { runSystem } from './lib/system.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'build/release/bin');

process.exitCode = await runSystem({
  argv: process.argv.slice(2),
  title: 'deploy/run',
  defaultDataDir: join(root, 'deploy/data'),
  ...services({
    page: join(root, 'services/web/public'),
    clientBundle: join(root, 'services/web/node_modules/socket.io-client/dist'),
    launch(kind, { args, env }) {
      const command = join(bin, `sesior-${kind}`);
      if (!existsSync(command)) throw new Error('the services are not built; run once without --no-build');
      return { command, args, env };
    },
  }),
});
