// runSystem: the command line, the private Redis, the addresses, the signals and the output that every way of running
// the whole system shares. `describe` says which processes make the system (deploy/run.mjs; the reference application
// of tests/bench is another).
//
// With --json a driver is in charge: nothing is restarted by itself, and one line on standard output tells what runs.
// Without it a process that ends is started again. SIGUSR2 starts again, once, whatever has ended.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { freePorts, isFree } from './ports.mjs';
import { redisReady } from './ready.mjs';
import { Supervisor } from './supervisor.mjs';

const DEFAULT_PORT_BASE = 8080;
const START_TRIES = 3;
const RESTART_PAUSE_MS = 1000;
const HOST = '127.0.0.1';

const USAGE = `
  --session N, --rest N, --realtime N  processes of each kind (default 2, 1, 2)
  --port-base P        first of the ports, one after the other; 0: any free ones
                       (default ${DEFAULT_PORT_BASE}, and any free ones when one of those is taken)
  --redis-url URL      this Redis instead of a private one
  --cookie-secret S[,OLD]  signs with the first, accepts all (default: made once, kept in the data folder)
  --data-dir D         Redis data, the secret, logs (default deploy/data)
  --allowed-origins O[,O]  further origins whose pages may call the API
  --session-changed-members M[,M]  further members of sessions whose changes their sockets are told
  --no-build           install and build nothing
  --json               print one line of JSON once everything is ready, and nothing else
  --help`;

const count = (flag, text) => {
  if (!/^\d{1,2}$/.test(text) || Number(text) < 1) throw new UsageError(`--${flag} must be a number from 1 to 99, not "${text}"`);
  return Number(text);
};

class UsageError extends Error {}

function readConfig(argv, defaultDataDir) {
  const text = (fallback) => ({ type: 'string', default: fallback });
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        session: text('2'), rest: text('1'), realtime: text('2'), 'port-base': { type: 'string' },
        'redis-url': { type: 'string' }, 'cookie-secret': { type: 'string' }, 'data-dir': text(defaultDataDir),
        'allowed-origins': text(''), 'session-changed-members': text(''),
        'no-build': { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const portBase = values['port-base'];
  if (portBase !== undefined && !(/^\d{1,5}$/.test(portBase) && Number(portBase) <= 65_000)) {
    throw new UsageError(`--port-base must be a number from 0 to 65000, not "${portBase}"`);
  }
  return {
    help: values.help,
    json: values.json,
    counts: { session: count('session', values.session), rest: count('rest', values.rest), realtime: count('realtime', values.realtime) },
    portBase: portBase === undefined ? null : Number(portBase),
    redisUrl: values['redis-url'],
    cookieSecret: values['cookie-secret'],
    dataDir: resolve(values['data-dir']),
    allowedOrigins: values['allowed-origins'].split(',').filter(Boolean),
    changedMembers: values['session-changed-members'].split(',').filter(Boolean),
  };
}

// The ports to use, in order, or an error that names the taken one.
async function choosePorts(wanted, portBase, say) {
  if (portBase === 0) return freePorts(wanted);
  const base = portBase ?? DEFAULT_PORT_BASE;
  const ports = Array.from({ length: wanted }, (_, i) => base + i);
  for (const port of ports) {
    if (await isFree(port, HOST)) continue;
    if (portBase !== null) throw new UsageError(`port ${port} is taken; choose another --port-base, or 0 for any free ports`);
    say(`Port ${port} is taken: using free ports instead.`);
    return freePorts(wanted);
  }
  return ports;
}

// The secret outlives a restart, and with it every sign-in.
function cookieSecret(config) {
  if (config.cookieSecret) return config.cookieSecret;
  const file = join(config.dataDir, 'cookie-secret');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

function redisSpec(config, port) {
  const dir = join(config.dataDir, 'redis');
  mkdirSync(dir, { recursive: true });
  return {
    kind: 'redis',
    name: 'redis',
    command: 'redis-server',
    args: ['--bind', HOST, '--port', String(port), '--dir', dir, '--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction'],
    ready: () => redisReady(HOST, port),
  };
}

// describe({counts, host, nextPort, redisUrl, cookieSecret, peerSecret, allowedOrigins, changedMembers}) →
// {stages: [[spec…]…], rest: URL, realtime: [URL…], session: [ADDR…]}; portsOf(counts) says how many ports it will take.
export async function runSystem({ argv, title, defaultDataDir, portsOf, describe }) {
  let config;
  try {
    config = readConfig(argv, defaultDataDir);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${title}: ${error.message}`);
    return 2;
  }
  if (config.help) {
    console.log(`usage: ${title} [options]${USAGE}`);
    return 0;
  }
  const say = config.json ? () => {} : (text) => console.log(text);
  // Of the realtime replicas: made anew each time, since they are all started together.
  const peerSecret = randomBytes(32).toString('hex');
  const logDir = join(config.dataDir, 'logs');
  mkdirSync(logDir, { recursive: true });

  let supervisor;
  let stopped = false;
  let wake;
  const asked = new Promise((resolve) => (wake = resolve));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (!stopped) say('\nStopping.');
      stopped = true;
      supervisor?.stop();
      wake();
    });
  }

  const restart = () => supervisor?.restartEnded().catch((error) => stopped || console.error(`${title}: ${error.message}`));
  // Also called when a process that was started again ends before it is ready, and so until it stays.
  const onExit = async (spec, how) => {
    console.error(`${title}: ${spec.name} has ended (${how})${config.json ? '' : '; starting it again'}`);
    if (config.json) return;
    await sleep(RESTART_PAUSE_MS);
    if (!stopped) restart();
  };
  process.on('SIGUSR2', restart);

  for (let tries = 1; ; ++tries) {
    supervisor = new Supervisor({ logDir, onExit });
    try {
      const ports = await choosePorts(portsOf(config.counts) + (config.redisUrl ? 0 : 1), config.portBase, say);
      const nextPort = () => ports.shift();
      const redisPort = config.redisUrl ? null : ports.pop();
      const redisUrl = config.redisUrl ?? `redis://${HOST}:${redisPort}`;
      const system = describe({
        counts: config.counts, host: HOST, nextPort, redisUrl,
        cookieSecret: cookieSecret(config), peerSecret, allowedOrigins: config.allowedOrigins,
        changedMembers: config.changedMembers,
      });
      const stages = redisPort === null ? system.stages : [[redisSpec(config, redisPort)], ...system.stages];
      if (stopped) return 0;
      for (const stage of stages) await supervisor.start(stage);
      announce(config, system, redisUrl, supervisor, say);
      break;
    } catch (error) {
      await supervisor.stop();
      if (stopped) return 0;
      if (error.portTaken && !config.portBase && tries < START_TRIES) continue;
      console.error(`${title}: ${error.message}`);
      return error instanceof UsageError ? 2 : 1;
    }
  }
  await asked;
  await supervisor.stop();
  say('Stopped.');
  return 0;
}

function announce(config, system, redisUrl, supervisor, say) {
  const { rest, realtime, session } = system;
  if (config.json) {
    const pids = Object.fromEntries(['rest', 'realtime', 'session', 'redis'].map((kind) => [kind, supervisor.pids(kind)]));
    console.log(JSON.stringify({ rest, realtime, session, redis: redisUrl, pids }));
    return;
  }
  say(`
SESIOR is running.

  Page and REST  ${rest}/
  Realtime       ${realtime.join('  ')}
  Session        ${session.join('  ')}
  Redis          ${redisUrl}
  Data and logs  ${config.dataDir}

Open the page in two browsers. Ctrl-C stops everything.`);
}
