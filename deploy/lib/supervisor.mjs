// Supervisor starts processes, waits until each is ready, and ends every one that it started.
// Ownership: it signals only processes that it started itself, by their id. Should the supervisor die, even by SIGKILL,
// the kernel ends its children (PR_SET_PDEATHSIG).
// Failure: a process that ends before it is ready, or is not ready in time, rejects start() with the end of its log.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 20;

export class StartError extends Error {
  constructor(name, problem, log) {
    super(`${name} ${problem}${log ? `; its last lines:\n${log}` : ''}`);
    this.portTaken = /address already in use|in use|EADDRINUSE/i.test(log);
  }
}

export class Supervisor {
  #processes = [];
  #logDir;
  #onExit;
  #stopping = null;

  // logDir: an existing folder, one file per process. onExit(spec, how): a ready process ended without being asked to.
  constructor({ logDir, onExit = () => {} }) {
    this.#logDir = logDir;
    this.#onExit = onExit;
  }

  // spec: {kind, name, command, args, env?, ready: async () => boolean, pid?: () => number}. `pid`: the process that counts,
  // where it is not the one that is started. Resolves once all of them are ready.
  async start(specs) {
    await Promise.all(specs.map((spec) => this.#startOne({ spec, child: null })));
  }

  // Starts again what has ended by itself. Safe to call while an earlier call still waits: each process is taken once.
  async restartEnded() {
    await Promise.all(this.#processes.filter((p) => p.ended).map((p) => this.#startOne(p)));
  }

  pids(kind) {
    return this.#processes.filter((p) => p.spec.kind === kind && !p.ended).map((p) => p.spec.pid?.() ?? p.child.pid);
  }

  // Ends everything, the last kind that was started first. May be called at any time, also while start() waits.
  stop() {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #startOne(process) {
    if (this.#stopping) throw new StartError(process.spec.name, 'was not started: stopping');
    const { spec } = process;
    const logFile = join(this.#logDir, `${spec.name}.log`);
    const log = openSync(logFile, 'a');
    const from = readFileSync(logFile).length;
    // A group of its own: Ctrl-C at the terminal reaches the supervisor alone, which then ends the rest in order.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', spec.command, ...spec.args], {
      stdio: ['ignore', log, log],
      env: { ...globalThis.process.env, ...spec.env },
      detached: true,
    });
    closeSync(log);
    Object.assign(process, { child, ended: null });
    process.exit = new Promise((resolve) => {
      const end = (how) => {
        process.ended = how;
        resolve(how);
        if (process.wasReady && !this.#stopping) this.#onExit(spec, how);
      };
      child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
      child.once('error', (error) => end(error.message));
    });
    if (!this.#processes.includes(process)) this.#processes.push(process);

    const fail = (problem) => new StartError(spec.name, problem, readFileSync(logFile).subarray(from).toString().trimEnd().split('\n').slice(-12).join('\n'));
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await spec.ready())) {
      if (process.ended) throw fail(`ended while starting (${process.ended})`);
      if (this.#stopping) throw fail('was stopped while starting');
      if (Date.now() > deadline) throw fail(`was not ready after ${READY_TIMEOUT_MS / 1000} s`);
      await sleep(POLL_MS);
    }
    if (process.ended) throw fail(`ended while starting (${process.ended})`);
    process.wasReady = true;
  }

  async #stopAll() {
    const kinds = [...new Set(this.#processes.map((p) => p.spec.kind))].reverse();
    for (const kind of kinds) {
      await Promise.all(this.#processes.filter((p) => p.spec.kind === kind).map((p) => endProcess(p)));
    }
  }
}

async function endProcess(process) {
  if (process.ended) return;
  process.child.kill('SIGTERM');
  process.child.kill('SIGCONT');  // a stopped process would never see the signal
  const hard = setTimeout(() => process.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await process.exit;
  clearTimeout(hard);
}
