// What the load runs against: a whole system on a Redis that writes to disk before it answers, real Express beside it, and
// the hand that kills its processes.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePorts } from '../../deploy/lib/ports.mjs';
import { redisReady } from '../../deploy/lib/ready.mjs';
import { System, isAlive, reference } from '../e2e/support/system.mjs';
import { until } from '../e2e/support/wait.mjs';
import { ExpressApp } from '../interop/support/express.mjs';
import { SessionRpc } from '../interop/support/rpc.mjs';

const UP_MS = 120_000;

export class World {
  system;
  express;
  rpcs = [];  // one a session replica; none for the reference application
  kills = {};
  #redis;
  #redisPort;
  #dir;

  static async start() {
    const world = new World();
    world.#dir = mkdtempSync(join(tmpdir(), 'sesior-history-'));
    [world.#redisPort] = await freePorts(1);
    await world.#startRedis();
    world.system = await System.start(['--redis-url', `redis://127.0.0.1:${world.#redisPort}`]);
    world.express = await ExpressApp.start(world.system);
    world.rpcs = world.system.session.map((address) => new SessionRpc(address));
    return world;
  }

  async stop() {
    await this.express?.stop();
    this.rpcs.forEach((rpc) => rpc.close());
    await this.system?.stop();
    this.#redis.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  // Ends one process of the kind the hard way, and waits until there is another in its place.
  async kill(kind, choose) {
    this.kills[kind] = (this.kills[kind] ?? 0) + 1;
    if (kind === 'redis') {
      const ended = new Promise((resolve) => this.#redis.once('exit', resolve));
      this.#redis.kill('SIGKILL');
      await ended;
      await sleep(choose(400));
      return this.#startRedis();
    }
    const before = this.#pids(kind);
    const pid = before[choose(before.length)];
    process.kill(pid, 'SIGKILL');
    await until('the runner to notice', () => !isAlive(pid));
    await sleep(choose(400));
    await until(`another ${kind}`, async () => {
      if (this.#pids(kind).length === before.length) return true;
      process.kill(this.system.pid, 'SIGUSR2');
      return sleep(200);
    }, UP_MS);
  }

  get kinds() {
    return reference ? ['redis', 'realtime'] : ['redis', 'session', 'session', 'rest', 'realtime'];
  }

  // The runner's processes of a kind that run now.
  #pids(kind) {
    const word = reference ? 'server.mjs' : `sesior-${kind}`;
    const children = readFileSync(`/proc/${this.system.pid}/task/${this.system.pid}/children`, 'utf8').trim().split(' ');
    return children.filter(Boolean).map(Number).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
      } catch {
        return false;  // ended since
      }
    });
  }

  async #startRedis() {
    const port = String(this.#redisPort);
    this.#redis = spawn('setpriv', [
      '--pdeathsig', 'KILL', '--', 'redis-server', '--bind', '127.0.0.1', '--port', port, '--dir', this.#dir, '--save', '',
      '--appendonly', 'yes', '--appendfsync', 'always', '--auto-aof-rewrite-min-size', '8mb', '--maxmemory-policy', 'noeviction',
    ], { stdio: 'ignore' });
    await until('Redis', () => redisReady('127.0.0.1', this.#redisPort), UP_MS);
  }
}
