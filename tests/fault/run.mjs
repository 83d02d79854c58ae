// Does every fault, again and again for as long as it is told, and prints the report of the README. Exit code 0: nothing
// was wrong.
//
// usage: node tests/fault/run.mjs [--minutes N] [--only TEXT]     default: every fault once
//
// SESIOR_BUILD_DIR: another build than build/release. SESIOR_FAULT_KEEP=1 keeps the logs.
import { parseArgs } from 'node:util';

import { FAILOVER, FAULTS, judge } from './faults.mjs';
import { Load } from './load.mjs';
import { World } from './world.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, only: { type: 'string', default: '' } } });
const until = Date.now() + Number(values.minutes ?? 0) * 60_000;
const chosen = (faults) => faults.filter(({ name }) => name.includes(values.only));

const rows = new Map();
let problems = 0;

async function run(faults, options) {
  if (faults.length === 0) return;
  const world = await World.start(options);
  let load;
  try {
    load = await Load.start(world);
    for (const fault of faults) {
      const result = await load.round((working) => fault.run(world, working)).catch((error) => ({ error }));
      const wrong = result.error ? [result.error.message] : judge(fault, result);
      problems += wrong.length;
      for (const text of wrong.slice(0, 10)) console.error(`WRONG  ${fault.name}: ${text}`);
      if (!result.error) add(fault, result);
    }
  } finally {
    load?.stop();
    await world.stop();
  }
}

function add(fault, result) {
  const row = rows.get(fault.name) ?? { rounds: 0, acked: 0, delivered: 0, gap: 0, told: 0, silent: 0, doubled: 0, broken: 0, reconnects: 0, slowest: 0 };
  ++row.rounds;
  for (const name of ['acked', 'delivered', 'gap', 'told']) row[name] += result[name];
  row.silent += result.silent.length;
  row.doubled += result.doubled.length;
  row.broken = Math.max(row.broken, result.broken);
  row.reconnects = Math.max(row.reconnects, result.reconnects);
  row.slowest = Math.max(row.slowest, result.recoveredAfter);
  row.notes = result.notes;
  rows.set(fault.name, row);
  console.error(`${fault.name}: ${result.acked} writes, ${result.delivered} delivered, ${row.silent} silent, well after ${result.recoveredAfter.toFixed(1)} s`);
}

do {
  await run(chosen(FAULTS), {});
  await run(chosen([FAILOVER]), { sentinel: true });
} while (Date.now() < until);

console.log('| fault | writes acknowledged | broadcasts delivered | announced (gap / new id) | lost in silence | doubled | sockets that broke | reconnects in a second | s until well |');
console.log('|---|---|---|---|---|---|---|---|---|');
for (const [name, row] of rows) {
  console.log(`| ${name}${row.notes ? ` (${row.notes})` : ''} | ${row.acked} | ${row.delivered} | ${row.gap} / ${row.told} | ${row.silent} | ${row.doubled} | ${row.broken} | ${row.reconnects} | ${row.slowest.toFixed(1)} |`);
}
console.log(`\n${problems} problems`);
process.exit(problems === 0 ? 0 : 1);
