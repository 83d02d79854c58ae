// Measures what one operation costs in CPU time of the server processes, SESIOR and the reference application side by
// side: both run all the time, and each scenario alternates between them, round by round. Prints a table of medians.
//
// A second table tells of new connections, each with a session of its own: CPU time for one, and what it then holds of
// the memory of the application (RSS of all its processes; Node's with what its collector has not yet given back).
//
// usage: node tests/bench/run.mjs [--rounds N] [--quick] [--only sesior|node] [--scenario WORD]
//        (after a release build: `deploy/run` once, or tests/run e2e)
//
// Counted is utime + stime of /proc/<pid>/stat: "app" are the processes of the application, "all" adds Redis.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' }, quick: { type: 'boolean' }, only: { type: 'string' }, scenario: { type: 'string' },
  },
});
const rounds = Number(flags.rounds);

const RUNNERS = {
  sesior: [join(root, 'deploy/run'), '--no-build'],
  node: [process.execPath, join(here, 'node/run.mjs')],
};

// perOperation: by what the CPU time is divided. The counts make a round of the slower side last some seconds.
const SCENARIOS = [
  { name: 'GET /verify-session, 1 connection', mode: 'verify', connections: 1, count: 4000, perOperation: 'operations' },
  { name: 'GET /verify-session, 64 connections', mode: 'verify', connections: 64, count: 20_000, perOperation: 'operations' },
  { name: 'user:rename, 2 sockets, 1 sends', mode: 'sockets', connections: 2, senders: 1, count: 2000, perOperation: 'operations' },
  { name: 'user:rename, 8 sockets, all send', mode: 'sockets', connections: 8, senders: 8, count: 6000, perOperation: 'operations' },
  { name: 'user:rename, 64 sockets, all send', mode: 'sockets', connections: 64, senders: 64, count: 8000, perOperation: 'operations' },
  { name: 'delivery to 1,000 sockets, 1 in flight', mode: 'sockets', connections: 1001, senders: 1, count: 150, perOperation: 'deliveries' },
  { name: 'delivery to 1,000 sockets, 4 in flight', mode: 'sockets', connections: 1004, senders: 4, count: 200, perOperation: 'deliveries' },
  { name: 'delivery to 10,000 sockets, 4 in flight', mode: 'sockets', connections: 10_004, senders: 4, count: 40, perOperation: 'deliveries' },
  { name: 'new connection with a session, one by one', mode: 'connect', connections: 2000, atOnce: 1 },
  { name: 'new connection with a session, 64 at a time', mode: 'connect', connections: 6400, atOnce: 64 },
].filter(({ name }) => !flags.scenario || name.includes(flags.scenario));

// --- The system and its CPU time -------------------------------------------------------------------------------------

async function startSystem(kind) {
  const dataDir = mkdtempSync(join(tmpdir(), `sesior-bench-${kind}-`));
  const [command, ...args] = [...RUNNERS[kind], '--json', '--port-base', '0', '--data-dir', dataDir];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    child.once('exit', () => reject(new Error(`${kind} did not start`)));
  });
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { kind, ...JSON.parse(line), stop };
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// utime + stime of a process with all its threads, in seconds.
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

// By kind of process.
function sampleCpu({ pids }) {
  return Object.fromEntries(Object.entries(pids).map(([kind, list]) => [kind, list.reduce((total, pid) => total + cpuSeconds(pid), 0)]));
}

// --- The load --------------------------------------------------------------------------------------------------------

function buildLoad() {
  const source = join(here, 'load.cpp');
  const binary = join(root, 'build/bench/load');
  mkdirSync(dirname(binary), { recursive: true });
  if (!existsSync(binary) || statSync(binary).mtimeMs < statSync(source).mtimeMs) {
    execFileSync('c++', ['-std=c++20', '-O2', '-Wall', '-Wextra', '-Werror', '-o', binary, source], { stdio: 'inherit' });
  }
  return binary;
}

let serial = 0;
async function register(system) {
  const name = `bench ${process.pid}-${++serial}`;
  const response = await fetch(`${system.rest}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ userName: name }),
  });
  if (!response.ok) throw new Error(`${system.kind}: register answered ${response.status}`);
  await response.arrayBuffer();
  return `${response.headers.getSetCookie()[0].split(';')[0]}\t${name}`;
}

// `count` users, each with a session of its own.
async function registerMany(system, count) {
  const users = [];
  while (users.length < count) {
    const next = Math.min(50, count - users.length);
    users.push(...(await Promise.all(Array.from({ length: next }, () => register(system)))));
  }
  return users;
}

class Load {
  // Resolves when all connections stand.
  static async start(system, { mode, connections, senders, atOnce = 1 }, users) {
    users ??= await registerMany(system, connections);
    const host = (url) => new URL(url).host;
    const target = mode === 'verify' ? [host(system.rest)] : [system.realtime.map(host).join(','), String(senders), String(atOnce)];
    const load = new Load();
    load.child = spawn(buildLoad(), [mode, ...target], { stdio: ['pipe', 'pipe', 'inherit'] });
    load.failed = new Promise((_, reject) => load.child.once('exit', (code) => reject(new Error(`the load on ${system.kind} ended (${code})`))));
    load.failed.catch(() => {});
    load.lines = createInterface(load.child.stdout)[Symbol.asyncIterator]();
    load.child.stdin.write(`${users.join('\n')}\n\n`);
    await load.line();
    return load;
  }

  async line() {
    return (await Promise.race([this.lines.next(), this.failed])).value;
  }

  async round(count) {
    this.child.stdin.write(`${count}\n`);
    return JSON.parse(await this.line());
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await ended;
  }
}

// --- Rounds ----------------------------------------------------------------------------------------------------------

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function measure(system, load, scenario, count) {
  const before = sampleCpu(system);
  const result = await load.round(count);
  const after = sampleCpu(system);
  const per = result[scenario.perOperation];
  const cost = (kind) => ((after[kind] - before[kind]) / per) * 1e6;
  const app = cost('rest') + cost('realtime') + cost('session');
  return {
    app,
    all: app + cost('redis'),
    rest: cost('rest'),
    realtime: cost('realtime'),
    session: cost('session'),
    redis: cost('redis'),
    rate: per / result.seconds,
    p50: result.p50_ms,
    p99: result.p99_ms,
    load: (result.load_cpu_s / per) * 1e6,
  };
}

// RSS in KiB, by kind of process.
function residentKib({ pids }) {
  const of = (pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
  return Object.fromEntries(Object.entries(pids).map(([kind, list]) => [kind, list.reduce((total, pid) => total + of(pid), 0)]));
}

// The first connections of a process also pay for its pools: they come before, and are not counted.
async function measureConnections(system, connections, atOnce) {
  const open = (users) => Load.start(system, { mode: 'sockets', connections: users.length, senders: 0, atOnce }, users);
  const [first, users] = [await registerMany(system, 200), await registerMany(system, connections)];
  const loads = [await open(first)];
  await sleep(1000);
  const [cpu, memory] = [sampleCpu(system), residentKib(system)];
  loads.push(await open(users));
  const after = sampleCpu(system);
  await sleep(1000);  // for what is still on its way
  const micros = Object.fromEntries(Object.keys(cpu).map((kind) => [kind, ((after[kind] - cpu[kind]) / connections) * 1e6]));
  const held = residentKib(system);
  const kib = Object.fromEntries(Object.keys(held).map((kind) => [kind, (held[kind] - memory[kind]) / connections]));
  for (const load of loads) await load.stop();
  return { micros, kib };
}

async function runConnections(systems, { name, connections, atOnce }) {
  const results = [];
  for (const system of systems) results.push(await measureConnections(system, flags.quick ? 640 : connections, atOnce));
  console.log('\n| CPU µs for one | side | app | app + Redis | realtime | session | KiB held by one | realtime | session |');
  console.log(`| --- | --- |${' --: |'.repeat(7)}`);
  const app = (values) => values.rest + values.realtime + values.session;
  for (const [i, { micros, kib }] of results.entries()) {
    const cells = [app(micros), app(micros) + micros.redis, micros.realtime, micros.session].map((value) => value.toFixed(0));
    const sizes = [app(kib), kib.realtime, kib.session].map((value) => value.toFixed(1));
    console.log(`| ${i === 0 ? name : ''} | ${systems[i].kind} | ${cells.join(' | ')} | ${sizes.join(' | ')} |`);
  }
  if (results.length === 2) {
    const ratio = (key) => (app(results[0][key]) / app(results[1][key])).toFixed(2);
    console.log(`| | **SESIOR / Node** | **${ratio('micros')}** | | | | **${ratio('kib')}** | | |`);
  }
}

async function runScenario(systems, scenario) {
  const loads = [];
  for (const system of systems) loads.push(await Load.start(system, scenario));
  const count = flags.quick ? Math.ceil(scenario.count / 10) : scenario.count;
  const samples = systems.map(() => []);
  for (const [i, load] of loads.entries()) await measure(systems[i], load, scenario, Math.ceil(count / 2));  // warms up
  for (let round = 0; round < rounds; ++round) {
    for (const [i, load] of loads.entries()) {
      await sleep(200);  // what the other side still does should not be in the way
      samples[i].push(await measure(systems[i], load, scenario, count));
    }
  }
  for (const load of loads) await load.stop();
  await sleep(3000);  // past the linger time: the next scenario begins with nobody online
  return samples.map((list) => Object.fromEntries(Object.keys(list[0]).map((key) => [key, median(list.map((s) => s[key]))])));
}

const kinds = Object.keys(RUNNERS).filter((kind) => !flags.only || kind === flags.only);
const systems = [];
try {
  for (const kind of kinds) systems.push(await startSystem(kind));
  const machine = `${cpus().length} × ${cpus()[0].model}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  console.log(`Medians of ${rounds} alternating rounds. ${machine}\n`);
  console.log('| CPU µs per operation | side | app | app + Redis | REST | realtime | session | Redis | operations/s | p50 ms | p99 ms | load |');
  console.log(`| --- | --- |${' --: |'.repeat(10)}`);
  for (const scenario of SCENARIOS) {
    if (scenario.mode === 'connect') {
      // Anew, since memory that was used before would be used again.
      for (const system of systems.splice(0)) await system.stop();
      for (const kind of kinds) systems.push(await startSystem(kind));
      await runConnections(systems, scenario);
      continue;
    }
    const results = await runScenario(systems, scenario);
    for (const [i, r] of results.entries()) {
      const micros = [r.app, r.all, r.rest, r.realtime, r.session, r.redis].map((value) => value.toFixed(value < 100 ? 1 : 0));
      const cells = [...micros, Math.round(r.rate), r.p50.toFixed(2), r.p99.toFixed(2), r.load.toFixed(1)];
      console.log(`| ${i === 0 ? scenario.name : ''} | ${systems[i].kind} | ${cells.join(' | ')} |`);
    }
    if (results.length === 2) {
      const ratio = (key) => (results[0][key] / results[1][key]).toFixed(2);
      console.log(`| | **SESIOR / Node** | **${ratio('app')}** | **${ratio('all')}** |${' |'.repeat(8)}`);
    }
  }
} finally {
  for (const system of systems) await system.stop();
}
