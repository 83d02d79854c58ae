// The server under test: SESIOR's conformance server, or with SESIOR_CONFORMANCE_TARGET=node the reference.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..');
export const isReference = process.env.SESIOR_CONFORMANCE_TARGET === 'node';

export class Target {
  // Resolves once both ports answer. `flags` beside those for the ports; `ports`: of the one that was there before.
  static async start({ flags = [], ports = ['0', '0'] } = {}) {
    const args = ['--engineio-port', ports[0], '--socketio-port', ports[1], ...flags];
    const child = isReference
      ? spawn(process.execPath, [join(folder, 'reference.mjs'), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
      : spawn(join(folder, 'serve'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const exit = once(child, 'exit');
    const lines = [];
    const addresses = new Promise((resolve) => {
      const found = [];
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (lines.push(line) > 50) lines.shift();
        const address = /event=listening .*addr=(\S+)/.exec(line)?.[1];
        if (address && found.push(address) === 2) resolve(found);
      });
    });
    const early = exit.then(([code]) => Promise.reject(new Error(`the server ended with ${code}:\n${lines.join('\n')}`)));
    early.catch(() => {});
    return new Target(child, exit, lines, await Promise.race([addresses, early]));
  }

  // `engineio` and `socketio`: the URLs without their query.
  constructor(child, exit, lines, [engineio, socketio]) {
    this.child = child;
    this.exit = exit;
    this.lines = lines;
    this.engineio = `http://${engineio}/engine.io/`;
    this.socketio = `http://${socketio}/socket.io/`;
    this.ports = [engineio, socketio].map((address) => address.split(':').at(-1));
    this.origin = `http://${socketio}`;
  }

  // Without a goodbye to anybody.
  async kill() {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  // Fails when the server has ended by itself, or does not end well.
  async stop() {
    this.child.kill('SIGTERM');
    const [code, signal] = await this.exit;
    const expected = isReference ? signal === 'SIGTERM' : code === 0;
    if (!expected) throw new Error(`the server ended with ${signal ?? code}:\n${this.lines.join('\n')}`);
  }
}
