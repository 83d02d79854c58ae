// From the answer of POST /logout to the last socket of that session closed: 1,000 sockets of one session and 2,000 of
// others over two replicas. Prints a histogram and p50, p99, maximum of all closes, and of the last close of each round;
// then says whether any other session's socket went. Raw WebSockets, so that the client costs little.
//
// Client and servers share the cores, so the times are an upper bound; what each process took of a core is told beside.
//
// usage: node tests/bench/logout/run.mjs [--rounds N] [--own N] [--others N]
//        (after a release build and npm ci in tests/e2e: `tests/run e2e` leaves both)
import { readFileSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Browser } from '../../e2e/support/http.mjs';
import { System } from '../../e2e/support/system.mjs';
import { until } from '../../e2e/support/wait.mjs';
import { WebSocketClient } from './websocket.mjs';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, own: { type: 'string', default: '1000' }, others: { type: 'string', default: '2000' } },
});
const [rounds, own, others] = [values.rounds, values.own, values.others].map(Number);
const OTHER_SESSIONS = 20;
const AT_A_TIME = 50;

async function openMany(system, cookies, count) {
  const sockets = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(AT_A_TIME, count - sockets.length) }, (_, i) => {
      const n = sockets.length + i;
      return WebSocketClient.join(system.realtime[n % system.realtime.length], cookies[n % cookies.length]);
    });
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

async function registered(system, name) {
  const browser = new Browser(system.rest);
  const answer = await browser.register(name);
  if (answer.status !== 200) throw new Error(`could not register ${name}: ${answer.status}`);
  return browser;
}

// What the processes have used of a core since they began, in ms, by the kernel's own count of each thread.
const cpuMs = (pids) =>
  pids.flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6))
    .reduce((sum, ms) => sum + ms, 0);
const cpu = (system) =>
  Object.fromEntries(Object.entries({ ...system.pids, client: [process.pid] }).map(([kind, pids]) => [kind, cpuMs(pids)]));

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const summary = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  return `p50 ${at(sorted, 0.5).toFixed(1)} ms, p99 ${at(sorted, 0.99).toFixed(1)} ms, max ${sorted.at(-1).toFixed(1)} ms`;
};

function histogram(times) {
  const edges = [0, 5, 10, 20, 30, 50, 75, 100, 150, 200, 500, Infinity];
  for (let i = 0; i + 1 < edges.length; ++i) {
    const count = times.filter((t) => t >= edges[i] && t < edges[i + 1]).length;
    if (count === 0) continue;
    const label = `${edges[i]} to ${edges[i + 1]} ms`.padStart(18);
    console.log(`${label}  ${String(count).padStart(6)}  ${'#'.repeat(Math.ceil((60 * count) / times.length))}`);
  }
}

const system = await System.start();
try {
  const strangers = await Promise.all(Array.from({ length: OTHER_SESSIONS }, (_, i) => registered(system, `other ${i}`)));
  const bystanders = await openMany(system, strangers.map((browser) => browser.cookie), others);
  const [all, last] = [[], []];
  for (let round = 0; round < rounds; ++round) {
    const browser = await registered(system, `leaver ${round}`);
    const sockets = await openMany(system, [browser.cookie], own);
    const before = cpu(system);
    const answer = await browser.post('/logout');
    const answered = performance.now();
    if (answer.status !== 204) throw new Error(`logout: ${answer.status}`);
    await until('all sockets of the session are closed', () => sockets.every((socket) => socket.closedAt !== null), 30_000);
    const after = cpu(system);
    for (const socket of sockets) socket.close();
    const used = Object.keys(before).map((kind) => `${kind} ${(after[kind] - before[kind]).toFixed(1)}`).join(', ');
    // A socket that went before the answer was read took no time.
    const times = sockets.map((socket) => Math.max(0, socket.closedAt - answered));
    all.push(...times);
    last.push(Math.max(...times));
    console.log(`round ${round + 1}: last of ${own} closed ${last.at(-1).toFixed(1)} ms after the answer; CPU ms: ${used}`);
  }
  histogram(all);
  console.log(`each close: ${summary(all)}`);
  console.log(`last close of a round: ${summary(last)}`);
  const lost = bystanders.filter((socket) => socket.closedAt !== null).length;
  console.log(`sockets of other sessions that went: ${lost} of ${others}`);
  process.exitCode = lost === 0 ? 0 : 1;
  for (const socket of bystanders) socket.close();
} finally {
  await system.stop();
}
