// A job in Python tells browsers: the official client, on each realtime replica, hears of it once.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { join as joinAs, fence } from '../e2e/support/peer.mjs';
import { System } from '../e2e/support/system.mjs';

const python = join(dirname(fileURLToPath(import.meta.url)), '../../libs/clients/python');

let system;
before(async () => {
  system = await System.start();
});
after(() => system?.stop());

test('a job in Python tells every browser, once', async () => {
  const people = [await joinAs(system, { replica: 0 }), await joinAs(system, { replica: 1 })];
  const job = () =>
    promisify(execFile)('/usr/bin/python3', [join(python, 'examples/notify.py'), system.session.join(','), 'report:ready', 'May'], {
      env: { ...process.env, PYTHONPATH: join(python, 'src'), JOB_ID: 'report-of-may' },
    });
  const first = await job();
  for (const { peer } of people) assert.deepEqual(await peer.next('report:ready'), { text: 'May' });
  assert.equal((await job()).stdout, first.stdout, 'the same job again');
  const seen = await fence(people[0].peer, people[1]);
  assert.ok(!seen.some(({ name }) => name === 'report:ready'));
  for (const { peer } of people) peer.close();
});
