// All of SESIOR, each service in a container. On the host's network: the addresses are those that deploy/run would give.
import { readFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { services } from '../../deploy/lib/services.mjs';
import { runSystem } from '../../deploy/lib/system.mjs';
import { RESTRICTIONS } from './restrictions.mjs';

const folder = mkdtempSync(join(tmpdir(), 'sesior-images-'));
let serial = 0;

process.exitCode = await runSystem({
  argv: process.argv.slice(2),
  title: 'tests/images/run',
  defaultDataDir: join(dirname(fileURLToPath(import.meta.url)), '../../deploy/data'),
  ...services({
    page: '/usr/share/sesior/web',
    clientBundle: '/usr/share/sesior/socket.io-client',
    launch(kind, { args, env }) {
      const pidFile = join(folder, `${++serial}.pid`);
      return {
        command: 'podman',
        // The environment passes secrets on by name, so that no command line shows them.
        args: ['run', '--rm', '--pidfile', pidFile, '--network', 'host', ...RESTRICTIONS[kind], ...Object.keys(env).flatMap((name) => ['--env', name]), `localhost/sesior/${kind}:${process.env.SESIOR_IMAGE_TAG ?? 'ci'}`, ...args],
        env,
        pid: () => Number(readFileSync(pidFile, 'utf8')),
      };
    },
  }),
});
