// Runs the load for a while, kills processes under it, and judges what was recorded. Exit code 0: nothing is wrong.
//
// usage: node tests/history/run.mjs [--minutes N | --seconds N] [--seed N] [--slots N] [--no-kill] [--mutant]
//
// --mutant runs against the reference application (express, express-session, connect-redis), which saves whole records,
// and expects that violations are found: exit code 0 then means that they were.
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' }, seconds: { type: 'string' }, seed: { type: 'string' }, slots: { type: 'string', default: '3' },
    'no-kill': { type: 'boolean' }, mutant: { type: 'boolean' },
  },
});
if (values.mutant) process.env.SESIOR_E2E_TARGET = 'node';  // read when the system is imported
const { Load } = await import('./load.mjs');
const { World } = await import('./world.mjs');

const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
const seconds = values.minutes ? Number(values.minutes) * 60 : Number(values.seconds ?? 60);
console.log(`seed ${seed}, ${seconds} s`);

const SHOWN = 20;
const world = await World.start();
const load = new Load(world, seed);
let wrong;
try {
  wrong = await load.run(seconds, { slots: Number(values.slots), kill: !values['no-kill'] });
} finally {
  await world.stop();
}
for (const [what, count] of Object.entries(load.counts).sort()) console.log(`${String(count).padStart(8)}  ${what}`);
for (const [kind, count] of Object.entries(world.kills).sort()) console.log(`${String(count).padStart(8)}  ${kind} killed`);
for (const text of wrong.slice(0, SHOWN)) console.log(`WRONG  ${text}`);
const kinds = { lost: /is lost|both there/, revived: /ended at|the ended session/, named: /two sessions|belonged to|claimed by/, repeated: /times: at/ };
const tally = Object.entries(kinds).map(([kind, text]) => `${wrong.filter((each) => text.test(each)).length} ${kind}`);
if (!load.proves) console.log(`only ${load.acknowledged} writes were acknowledged: too few to prove anything`);
console.log(`${wrong.length} violations (${tally.join(', ')})`);
const asExpected = values.mutant ? kinds.lost.test(wrong.join('\n')) && kinds.revived.test(wrong.join('\n')) : wrong.length === 0 && load.proves;
process.exit(asExpected ? 0 : 1);
