// The system under faults: two realtime replicas behind a balancer, two session replicas, REST, and Redis, alone or as a
// primary with a replica and three Sentinels; with a proxy on every way between them:
//
//   clients ─ ways.client ─ realtime ─ ways.session ─ session ─ ways.redis ─ Redis
//
// Ownership: every process is this program's own and ends with it, also when it dies.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../../deploy/lib/ports.mjs';
import { httpReady, redisReady } from '../../deploy/lib/ready.mjs';
import { until } from '../e2e/support/wait.mjs';
import { Proxy } from './proxy.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const bin = join(process.env.SESIOR_BUILD_DIR ?? join(root, 'build/release'), 'bin');
const REPLICAS = 2;
const UP_MS = 30_000;

export const DRAIN_RATE = 4;  // clients closed a second

class Process {
  constructor(name, logDir, command, args, env, ready) {
    Object.assign(this, { name, logDir, command, args, env, ready });
  }

  async start() {
    const log = openSync(join(this.logDir, `${this.name}.log`), 'a');
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', this.command, ...this.args], {
      stdio: ['ignore', log, log], env: { ...process.env, ...this.env },
    });
    closeSync(log);
    this.ended = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve(signal ?? code)));
    await this.isReady();
  }

  isReady() {
    return until(`${this.name} to be ready`, () => this.ready(), UP_MS);
  }

  signal(name) {
    this.child.kill(name);
  }

  // Ends it, and tells how it ended: an exit code or a signal.
  async end(signal = 'SIGKILL') {
    this.child.kill(signal);
    if (signal !== 'SIGKILL') this.child.kill('SIGCONT');
    return this.ended;
  }

  async restart(signal) {
    const how = await this.end(signal);
    await this.start();
    return how;
  }
}

export class World {
  rest;           // its URL
  url;            // where clients connect
  realtime = [];  // processes
  session = [];
  redis = [];     // the first one is the primary at first
  sentinels = [];
  ways = { client: [], session: [], redis: [] };
  dir;
  #restProcess;
  #timer;
  #ops = {};  // ports of /readyz and /metrics, by process name

  static async start({ sentinel = false } = {}) {
    const world = new World();
    world.dir = mkdtempSync(join(tmpdir(), 'sesior-fault-'));
    if (!existsSync(join(bin, 'sesior-session'))) throw new Error(`no services in ${bin}; build them first`);
    try {
      await world.#start(sentinel);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async stop() {
    clearInterval(this.#timer);
    const all = [...this.realtime, this.#restProcess, ...this.session, ...this.sentinels, ...this.redis].filter((p) => p?.child);
    await Promise.all(all.map((p) => p.end('SIGKILL')));
    await Promise.all(Object.values(this.ways).flat().map((proxy) => proxy.stop()));
    if (process.env.SESIOR_FAULT_KEEP) console.error(`logs: ${this.dir}`);
    else rmSync(this.dir, { recursive: true, force: true });
  }

  heal() {
    for (const proxy of Object.values(this.ways).flat()) proxy.heal();
    return Promise.all(Object.values(this.ways).flat().map((proxy) => proxy.accept()));
  }

  // One number of a process's /metrics, summed over labels.
  async metric(process, name) {
    const text = await new Promise((resolve, reject) => {
      get(`http://127.0.0.1:${this.#ops[process.name]}/metrics`, { agent: false }, (res) => {
        let body = '';
        res.on('data', (chunk) => (body += chunk)).on('end', () => resolve(body)).on('error', reject);
      }).on('error', reject);
    });
    return text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async #start(sentinel) {
    const ports = await freePorts(4 * REPLICAS + 3 * REPLICAS + REPLICAS * REPLICAS + 8);
    const next = () => ports.pop();
    const process = (name, command, args, env, ready) => new Process(name, this.dir, command, args, env, ready);

    const redisPorts = [next()];
    this.redis.push(this.#redis('redis-1', redisPorts[0], []));
    await this.redis[0].start();
    let redisUrl = (way) => `redis://127.0.0.1:${way.port}`;
    if (sentinel) {
      redisPorts.push(next());
      this.redis.push(this.#redis('redis-2', redisPorts[1], ['--replicaof', '127.0.0.1', String(redisPorts[0])]));
      await this.redis[1].start();
      const sentinelPorts = [next(), next(), next()];
      for (const [i, port] of sentinelPorts.entries()) {
        const file = join(this.dir, `sentinel-${i}.conf`);
        writeFileSync(file, [
          `port ${port}`, 'bind 127.0.0.1', `dir ${this.dir}`, `sentinel monitor main 127.0.0.1 ${redisPorts[0]} 2`,
          'sentinel down-after-milliseconds main 1000', 'sentinel failover-timeout main 5000', '',
        ].join('\n'));
        this.sentinels.push(process(`sentinel-${i}`, 'redis-server', [file, '--sentinel'], {}, () => redisReady('127.0.0.1', port)));
      }
      await Promise.all(this.sentinels.map((s) => s.start()));
      // Sentinels cannot be stood between: they tell where Redis really is.
      redisUrl = () => `redis-sentinel://${sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')}/main`;
    }

    const sessionPorts = Array.from({ length: REPLICAS }, next);
    for (const [i, port] of sessionPorts.entries()) {
      const way = await Proxy.start(next(), [redisPorts[0]]);
      this.ways.redis.push(way);
      this.session.push(this.#service('session', i, next(), ['--listen', `127.0.0.1:${port}`, '--redis-url', redisUrl(way)],
        { SESIOR_SESSION_COOKIE_SECRET: 'a secret of the fault program' }));
    }
    await Promise.all(this.session.map((p) => p.start()));

    const realtimePorts = Array.from({ length: REPLICAS }, next);
    for (const [i, port] of realtimePorts.entries()) {
      const ways = await Promise.all(sessionPorts.map((target) => Proxy.start(next(), [target])));
      this.ways.session.push(...ways);
      this.realtime.push(this.#service('realtime', i, next(), [
        '--listen', `127.0.0.1:${port}`, '--session-addresses', ways.map((way) => `127.0.0.1:${way.port}`).join(','),
        '--replica-name', `realtime-${i + 1}`, '--peer-listen', `127.0.0.1:${next()}`, '--threads', '1',
        '--ping-interval', '1s', '--ping-timeout', '1500ms', '--drain-delay', '600ms', '--drain-rate', String(DRAIN_RATE),
        '--max-handshakes-per-second', '50', '--client-queue-bytes', '100000',
      ], { SESIOR_REALTIME_PEER_SECRET: 'another secret of the fault program' }));
    }
    const restPort = next();
    this.#restProcess = this.#service('rest', 0, next(), [
      '--listen', `127.0.0.1:${restPort}`, '--session-addresses', sessionPorts.map((port) => `127.0.0.1:${port}`).join(','),
    ], {});
    await Promise.all([...this.realtime, this.#restProcess].map((p) => p.start()));
    this.rest = `http://127.0.0.1:${restPort}`;
    this.ways.client.push(await Proxy.start(next(), realtimePorts));
    this.url = `http://127.0.0.1:${this.ways.client[0].port}`;

    // The balancer looks after its targets, and takes one that is not ready out; when none is, all stay in.
    this.#timer = setInterval(async () => {
      const ready = await Promise.all(this.realtime.map((p) => p.ready()));
      const targets = realtimePorts.filter((_, i) => ready[i]);
      this.ways.client[0].targets = targets.length > 0 ? targets : realtimePorts;
    }, 150);
  }

  #redis(name, port, more) {
    const dir = join(this.dir, name);
    return new Process(name, this.dir, 'sh', ['-c', `mkdir -p "$0" && exec redis-server "$@"`, dir,
      '--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always',
      '--save', '', '--repl-diskless-sync-delay', '0', ...more,
    ], {}, () => redisReady('127.0.0.1', port));
  }

  #service(kind, index, ops, args, env) {
    const name = `${kind}-${index + 1}`;
    this.#ops[name] = ops;
    return new Process(name, this.dir, join(bin, `sesior-${kind}`), ['--ops-listen', `127.0.0.1:${ops}`, '--stop-timeout', '15s', ...args],
      env, () => httpReady(`http://127.0.0.1:${ops}/readyz`));
  }
}

export { sleep };
