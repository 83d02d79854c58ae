// A Redis and session replicas of their own for a test of the clients, on free ports, without any dependency.
//
// As a program: node service.mjs COMMAND...   runs COMMAND with SESIOR_TEST_ADDRESSES set, and ends with its exit code.
import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const bin = process.env.SESIOR_BIN_DIR ?? join(root, 'build/release/bin');

export const SECRET = 'a secret of the clients';
const START_MS = 20_000;

export async function until(what, condition, timeoutMs = 30_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

// The cookie of a session, as express-session signs it.
export function cookieOf(id, secret = SECRET) {
  const signature = createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, '');
  return `connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}`;
}

export class Service {
  addresses = [];
  #processes = [];
  #redis;
  #flags;

  static async start({ replicas = 2, flags = [] } = {}) {
    const service = new Service();
    service.folder = mkdtempSync(join(tmpdir(), 'sesior-clients-'));
    service.redisSocket = join(service.folder, 'redis.sock');
    service.#flags = flags;
    try {
      await service.startRedis();
      for (let i = 0; i < replicas; ++i) service.addresses.push(await service.#launch(i, 0));
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  async startRedis() {
    this.#redis = spawn('redis-server', ['--port', '0', '--unixsocket', this.redisSocket, '--save', '', '--dir', this.folder], { stdio: 'ignore' });
    await until('Redis', async () => (await this.redisCli('PING').catch(() => '')) === 'PONG', START_MS);
  }

  async stopRedis() {
    await end(this.#redis);
  }

  async redisCli(...args) {
    const { stdout } = await promisify(execFile)('redis-cli', ['-s', this.redisSocket, ...args]);
    return stdout.trimEnd();
  }

  // Resolves with the address once the replica serves.
  #launch(index, port) {
    const child = spawn(
      join(bin, 'sesior-session'),
      ['--listen', `127.0.0.1:${port}`, '--redis-url', `unix://${this.redisSocket}`, '--log-format', 'json', ...this.#flags],
      { env: { ...process.env, SESIOR_SESSION_COOKIE_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#processes[index] = child;
    const lines = [];
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`sesior-session did not start:\n${lines.join('\n')}`)), START_MS);
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`sesior-session ended with ${code}:\n${lines.join('\n')}`)));
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          lines.push(line);
          const address = /"name":"grpc".*"addr":"([^"]+)"/.exec(line)?.[1];
          if (!address) return;
          clearTimeout(late);
          resolve(address);
        });
      }
    });
  }

  async kill(index, signal = 'SIGKILL') {
    await end(this.#processes[index], signal);
  }

  // Starts replica `index` again, on its old address.
  async revive(index) {
    await this.#launch(index, Number(this.addresses[index].split(':')[1]));
  }

  async stop() {
    await Promise.all(this.#processes.map((child) => end(child, 'SIGTERM')));
    await end(this.#redis);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function end(child, signal = 'SIGTERM') {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const service = await Service.start();
  try {
    const child = spawn(process.argv[2], process.argv.slice(3), {
      env: { ...process.env, SESIOR_TEST_ADDRESSES: service.addresses.join(','), SESIOR_TEST_REDIS: service.redisSocket, SESIOR_TEST_SECRET: SECRET },
      stdio: 'inherit',
    });
    process.exitCode = await new Promise((resolve, reject) => child.on('error', reject).on('exit', (code) => resolve(code ?? 1)));
  } finally {
    await service.stop();
  }
}
