// Debian's python3-socketio, synchronous and with asyncio, each way it can travel. See python/client.py.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Target } from './support/target.mjs';

const script = join(dirname(fileURLToPath(import.meta.url)), 'python/client.py');
const PATIENCE_S = 60;

for (const kind of ['sync', 'asyncio']) {
  for (const way of ['default', 'polling', 'websocket']) {
    test(`python3-socketio, ${kind}, ${way}`, async () => {
      const flags = ['--ping-interval-ms', '2000', '--ping-timeout-ms', '10000'];
      let target = await Target.start({ flags });
      // Debian's Python, which has the package; another may come first on the path. -I: no packages of the user's.
      const python = spawn('timeout', [`${PATIENCE_S}`, '/usr/bin/python3', '-I', script, kind, way, target.origin], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said = [];
      let errors = '';
      python.stderr.on('data', (text) => (errors += text));
      const exit = once(python, 'exit');
      for await (const line of createInterface({ input: python.stdout })) {
        said.push(line);
        if (line !== 'ready to lose the server') continue;
        await target.kill();
        target = await Target.start({ flags, ports: target.ports });
      }
      const [code] = await exit;
      await target.stop();
      assert.equal(code, 0, errors);
      assert.deepEqual(said, ['ready to lose the server', 'done'], errors);
    });
  }
}
