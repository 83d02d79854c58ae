// Every fault once, for CI; run.mjs goes on for as long as it is told.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { FAILOVER, FAULTS, judge } from './faults.mjs';
import { Load } from './load.mjs';
import { World } from './world.mjs';

const SHOWN = 8;

async function once(world, load, fault) {
  const result = await load.round((working) => fault.run(world, working));
  const wrong = judge(fault, result);
  assert.deepEqual(wrong.slice(0, SHOWN), [], `${wrong.length} problems`);
}

describe('while users work', { timeout: 300_000 }, () => {
  let world;
  let load;
  before(async () => {
    world = await World.start();
    load = await Load.start(world);
  });
  after(async () => {
    load?.stop();
    await world?.stop();
  });
  for (const fault of FAULTS) test(fault.name, () => once(world, load, fault));
});

test(FAILOVER.name, { timeout: 120_000 }, async () => {
  const world = await World.start({ sentinel: true });
  try {
    const load = await Load.start(world);
    try {
      await once(world, load, FAILOVER);
    } finally {
      load.stop();
    }
  } finally {
    await world.stop();
  }
});
