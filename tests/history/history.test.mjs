// The load and its judge: nothing is wrong with SESIOR while its processes are killed, and the same judge finds what is
// wrong with an application that saves whole records.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const SECONDS = 45;
const MUTANT_SECONDS = 8;

// Resolves with {code, output}; the run ends with this test, whatever becomes of it.
function run(...flags) {
  return new Promise((resolve) => {
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', process.execPath, join(here, 'run.mjs'), ...flags]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('close', (code) => resolve({ code, output }));
  });
}

test(`${SECONDS} s of kills lose nothing`, { timeout: 300_000 }, async (t) => {
  const { code, output } = await run('--seconds', String(SECONDS));
  t.diagnostic(output.split('\n')[0]);  // the seed
  assert.equal(code, 0, output);
  assert.doesNotMatch(output, /has ended \((?!SIGKILL)/, 'a process ended by itself');
});

test('the same load finds lost updates and revived sessions where whole records are saved', { timeout: 120_000 }, async (t) => {
  const { code, output } = await run('--mutant', '--no-kill', '--seconds', String(MUTANT_SECONDS));
  t.diagnostic(output.trimEnd().split('\n').at(-1));
  assert.equal(code, 0, output);
});
