// Starts a whole system for a test file, and ends it. The system under test is SESIOR's release build, or with
// SESIOR_E2E_TARGET=node the reference application of tests/bench/node.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { redisReady } from '../../../deploy/lib/ready.mjs';
import { until } from './wait.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

// True when the reference application is tested: what only SESIOR promises is skipped.
export const reference = process.env.SESIOR_E2E_TARGET === 'node';
export const onlySesior = reference ? { skip: 'the reference application does not promise this' } : {};

// What SESIOR does not promise yet (see the root README): the test runs, and its failure is no failure.
export const notYet = (what) => (reference ? onlySesior : { todo: what });

export const SECRET = 'an end-to-end secret';
export const OTHER_ORIGIN = 'http://other.example:9000';

// SESIOR_E2E_TARGET=images: the images of deploy/images/build, in containers.
export const COMMAND = reference
  ? [process.execPath, join(root, 'tests/bench/node/run.mjs')]
  : process.env.SESIOR_E2E_TARGET === 'images'
    ? [join(root, 'tests/images/run')]
    : [join(root, 'deploy/run'), '--no-build'];

function exists(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export class System {
  // The line of --json: rest, realtime, session, redis, pids.
  rest;
  realtime;
  redis;
  pids;
  #process;
  #dataDir;
  #killed = [];
  #flags;

  static async start(flags = []) {
    const system = new System();
    system.#dataDir = mkdtempSync(join(tmpdir(), 'sesior-e2e-'));
    system.#flags = ['--json', '--port-base', '0', '--cookie-secret', SECRET, '--allowed-origins', OTHER_ORIGIN, '--data-dir', system.#dataDir, ...flags];
    await system.#launch();
    return system;
  }

  get pid() {
    return this.#process.pid;
  }

  get dataDir() {
    return this.#dataDir;
  }

  // Ends every process, and starts again on the same data.
  async restart() {
    await this.#end();
    await this.#launch();
  }

  async stop() {
    await this.#end();
    // SESIOR_E2E_KEEP=1 leaves the logs for a look.
    if (!process.env.SESIOR_E2E_KEEP) rmSync(this.#dataDir, { recursive: true, force: true });
  }

  signal(kind, signal, index) {
    const pids = index === undefined ? this.pids[kind] : [this.pids[kind][index]];
    for (const pid of pids) process.kill(pid, signal);
    if (signal === 'SIGKILL') this.#killed.push(...pids);
  }

  // Asks the runner to start again what has ended: once it has noticed the end of all that was killed, which is when
  // their ids are gone. Asked sooner, it would find nothing to start.
  async startEnded() {
    await until('the runner to notice what was killed', () => !this.#killed.some(exists));
    this.#killed = [];
    this.#process.kill('SIGUSR2');
  }

  redisIsUp() {
    const { hostname, port } = new URL(this.redis);
    return redisReady(hostname, Number(port));
  }

  // The Redis that runs now; `pids` tells of the one that was started first.
  async redisPid() {
    await until('Redis', () => this.redisIsUp());
    return Number((await this.redisCli('INFO', 'server')).match(/process_id:(\d+)/)[1]);
  }

  // One command of redis-cli, its answer as text.
  async redisCli(...args) {
    const { stdout } = await promisify(execFile)('redis-cli', ['-u', this.redis, ...args]);
    return stdout.trimEnd();
  }

  async #launch() {
    const [command, ...first] = COMMAND;
    // Should this test die, the kernel tells the runner to stop.
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...first, ...this.#flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise((resolve, reject) => {
      createInterface(this.#process.stdout).once('line', resolve);
      this.#process.once('exit', (code) => reject(new Error(`the system did not start (exit code ${code})`)));
      this.#process.once('error', reject);
    });
    Object.assign(this, JSON.parse(line));
  }

  async #end() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      await ended;
    }
  }
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const allGone = (pids) => until('all processes have ended', () => Object.values(pids).flat().every((pid) => !isAlive(pid)));
