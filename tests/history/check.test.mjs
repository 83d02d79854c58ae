// The judge itself, on histories made by hand: what is good passes, what is bad is named.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ABSENT, checkEnds, checkNames, checkOnce, checkRegister, checkSnapshot } from './check.mjs';

const write = (value, start, end, outcome = 'ok') => ({ kind: 'write', value, start, end, outcome });
const read = (value, start, end) => ({ kind: 'read', value, start, end, outcome: 'ok' });
const good = (operations) => assert.deepEqual(checkRegister('r', operations), []);
const bad = (operations, why) => {
  const found = checkRegister('r', operations);
  assert.ok(found.some((text) => why.test(text)), `found ${JSON.stringify(found)}`);
};

const WRONG = /is lost|both there/;

describe('a field', () => {
  test('that is written and read in turn is good', () => good([write('a', 0, 1), read('a', 2, 3), write('b', 4, 5), read('b', 6, 7)]));
  test('that nobody wrote may be absent', () => good([read(ABSENT, 0, 1), read(ABSENT, 2, 3)]));
  test('may be absent while its first write is under way, and not after it', () => {
    good([write('a', 0, 4), read(ABSENT, 1, 2), read('a', 3, 5)]);
    bad([write('a', 0, 1), read(ABSENT, 2, 3)], /a, written .* is lost/);
    bad([write('a', 0, 4), read('a', 0, 1), read(ABSENT, 2, 3)], WRONG);
  });
  test('written by two at once may hold either, but only in one order', () => {
    good([write('a', 0, 9), write('b', 0, 9), read('a', 10, 11)]);
    good([write('a', 0, 9), write('b', 0, 9), read('b', 1, 2), read('a', 3, 4), read('a', 10, 11)]);
    bad([write('a', 0, 9), write('b', 0, 9), read('a', 1, 2), read('b', 3, 4), read('a', 5, 6)], WRONG);
  });
  test('loses no acknowledged write to an older one', () => bad([write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)], /b, written .* is lost/));
  test('loses none although nobody read between', () => bad([write('a', 0, 1), write('b', 2, 3), write('c', 2, 9), read('a', 4, 5)], /lost/));
  test('may have lost a write that was overwritten by a later one', () => good([write('a', 0, 1), write('b', 2, 3), read('b', 4, 5)]));
  test('may hold or not hold what has an unknown outcome', () => {
    good([write('a', 0, 1), write('b', 2, 3, 'unknown'), read('a', 4, 5)]);
    good([write('a', 0, 1), write('b', 2, 3, 'unknown'), read('b', 4, 5)]);
    good([write('a', 0, 1), write('b', 2, 3, 'unknown'), read('a', 4, 5), read('b', 6, 7)]);
  });
  test('has an unknown write once, not twice', () => {
    bad([write('a', 0, 1), write('b', 2, 3, 'unknown'), read('b', 4, 5), write('c', 6, 7), read('c', 8, 9), read('b', 10, 11)], WRONG);
    bad([write('b', 2, 3, 'unknown'), read('b', 4, 5), read(ABSENT, 6, 7)], WRONG);
  });
  test('never holds what was refused, what nobody wrote, or what is yet to be written', () => {
    bad([write('a', 0, 1, 'fail'), read('a', 2, 3)], /nobody wrote/);
    bad([read('x', 2, 3)], /nobody wrote/);
    bad([read('a', 0, 1), write('a', 2, 3)], /before it was written/);
  });
  test('is not judged when a value was written twice', () => assert.throws(() => checkRegister('r', [write('a', 0, 1), write('a', 2, 3)]), /written twice/));

  test('agrees with trying every order, on a thousand small histories', () => {
    let seed = 7;
    const random = (n) => ((seed = (seed * 1103515245 + 12345) % 2147483648) >> 8) % n;
    const verdicts = { good: 0, bad: 0 };
    for (let round = 0; round < 1000; ++round) {
      const writes = Array.from({ length: 1 + random(3) }, (_, i) => {
        const start = random(12) + i / 10;
        return write(`v${i}`, start, start + 1 + random(6), random(4) === 0 ? 'unknown' : 'ok');
      });
      const reads = Array.from({ length: random(4) }, (_, i) => {
        const start = random(14) + 0.5 + i / 100;
        return read(random(5) === 0 ? ABSENT : writes[random(writes.length)].value, start, start + 1 + random(4));
      });
      const history = [...writes, ...reads];
      const possible = explains(history);
      ++verdicts[possible ? 'good' : 'bad'];
      assert.equal(checkRegister('r', history).length === 0, possible, JSON.stringify(history));
    }
    assert.ok(verdicts.good > 100 && verdicts.bad > 100, JSON.stringify(verdicts));
  });
});

// Whether some order of the operations explains the history, by trying them all.
function explains(left, value = ABSENT) {
  const must = left.filter((op) => op.outcome === 'ok');
  if (must.length === 0) return true;
  const firstEnd = Math.min(...must.map((op) => op.end));
  return left.some((op) => {
    if (op.start > firstEnd || (op.kind === 'read' && op.value !== value)) return false;
    return explains(left.filter((other) => other !== op), op.kind === 'write' ? op.value : value);
  });
}

describe('the end of a session', () => {
  const end = { sid: 'one', start: 5, end: 6, outcome: 'ok' };
  const use = (start, outcome = 'ok') => ({ sid: 'one', start, end: start + 1, outcome, what: 'test' });
  test('is final', () => {
    assert.deepEqual(checkEnds([end], [use(1), use(5.5), use(7, 'gone')]), []);
    assert.match(checkEnds([end], [use(7)])[0], /ended at 6, and was used at 7/);
  });
  test('may or may not have happened when its outcome is unknown', () => {
    assert.deepEqual(checkEnds([{ ...end, outcome: 'unknown' }], [use(7), use(8, 'gone')]), []);
  });
  test('does not come by itself', () => {
    assert.match(checkEnds([], [use(1, 'gone')])[0], /nobody had ended it/);
    assert.match(checkEnds([end], [use(1, 'gone')])[0], /nobody had ended it/);
    assert.deepEqual(checkEnds([end], [use(4.5, 'gone')]), []);
  });
});

describe('a name', () => {
  const claim = (name, owner, start, end, outcome = 'ok') => ({ name, owner, start, end, outcome });
  test('passes from one to the next', () => {
    assert.deepEqual(checkNames([claim('x', 'a', 0, 1), claim('y', 'a', 4, 6), claim('x', 'b', 5, 7)], []), []);
    assert.deepEqual(checkNames([claim('x', 'a', 0, 1), claim('x', 'b', 5, 7)], [{ owner: 'a', start: 2, end: 3, outcome: 'ok' }]), []);
  });
  test('has no two owners', () => {
    assert.match(checkNames([claim('x', 'a', 0, 1), claim('x', 'b', 2, 3)], [])[0], /"x" belonged to a at .* and to b/);
    assert.match(checkNames([claim('x', 'a', 0, 1), claim('x', 'b', 2, 3), claim('y', 'a', 8, 9)], [])[0], /"x"/);
  });
  test('may have been given up by what has an unknown outcome, not by what was refused', () => {
    assert.deepEqual(checkNames([claim('x', 'a', 0, 1), claim('y', 'a', 1.5, 2, 'unknown'), claim('x', 'b', 3, 4)], []), []);
    assert.equal(checkNames([claim('x', 'a', 0, 1), claim('y', 'a', 1.5, 2, 'fail'), claim('x', 'b', 3, 4)], []).length, 1);
  });
});

describe('a look into the store', () => {
  const ended = new Set(['dead']);
  const look = (records, claims = null) => checkSnapshot(0, { records, claims, ended });
  test('shows each name once, claimed by who shows it, and nobody who has ended', () => {
    assert.deepEqual(look([['a', 'x'], ['b', 'y'], ['c', null]], [['x', 'a'], ['y', 'b']]), []);
    assert.match(look([['a', 'x'], ['b', 'x']])[0], /two sessions/);
    assert.match(look([['dead', null]])[0], /ended session dead/);
    assert.match(look([['a', 'x']], [])[0], /claimed by nobody/);
    assert.match(look([['a', null]], [['x', 'a']])[0], /does not show it/);
  });
});

test('an announcement goes out once, however often it is delivered', () => {
  assert.deepEqual(checkOnce([{ id: '1', position: 'e 1' }, { id: '1', position: 'e 1' }, { id: '2', position: 'e 2' }]), []);
  assert.match(checkOnce([{ id: '1', position: 'e 1' }, { id: '1', position: 'e 2' }])[0], /1 went out 2 times/);
});
