// The checker finds what it is there to find.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { account, mostInASecond, nameProblem } from './check.mjs';

const view = (more) => ({ user: 'bob', lives: [{ up: 0 }], seen: [], gaps: [], ...more });
const writes = [
  { name: 'a1', from: 'ann', begun: 100, acked: 110 },
  { name: 'a2', from: 'ann', begun: 5000 },
  { name: 'a3', from: 'ann', begun: 9000, acked: 9010 },
];

test('a broadcast that came is delivered; one of the socket\'s own, or not acknowledged, is not asked for', () => {
  const bob = view({ seen: [{ name: 'a1', at: 111 }, { name: 'a3', at: 9011 }] });
  assert.deepEqual(account(writes, [bob, view({ user: 'ann' })]), { delivered: 2, gap: 0, told: 0, silent: [], doubled: [] });
});

test('one that did not come is silent, unless a gap behind it was announced', () => {
  assert.equal(account(writes, [view({})]).silent.length, 2);
  const { gap, silent } = account(writes, [view({ gaps: [5000] })]);
  assert.equal(gap, 1);
  assert.equal(silent.length, 1);  // a3 came after the gap
});

test('one in a break is told by a new id, and silent when the socket was said to have recovered', () => {
  const broken = [{ up: 0, down: 50 }, { up: 500 }];
  assert.equal(account(writes, [view({ lives: broken, seen: [{ name: 'a3', at: 9011 }] })]).told, 1);
  broken[1].recovered = true;
  assert.equal(account(writes, [view({ lives: broken, seen: [{ name: 'a3', at: 9011 }] })]).silent.length, 1);
});

test('one that came twice is doubled', () => {
  assert.equal(account(writes, [view({ seen: [{ name: 'a1', at: 1 }, { name: 'a1', at: 2 }] })]).doubled.length, 1);
});

test('a name is the last that was acknowledged, or one that may have been taken since', () => {
  assert.equal(nameProblem('ann', 'a3', writes), null);
  assert.match(nameProblem('ann', 'a1', writes), /a1/);
  const unsure = [...writes, { name: 'a4', from: 'ann', begun: 9500 }];
  assert.equal(nameProblem('ann', 'a4', unsure), null);
  assert.equal(nameProblem('ann', 'a3', unsure), null);
  assert.match(nameProblem('ann', 'a2', unsure), /a2/);
});

test('the most in a second counts any second', () => {
  assert.equal(mostInASecond([0, 900, 1100, 1800, 1850, 5000]), 4);
  assert.equal(mostInASecond([]), 0);
});
