// What is sent for a change, and that the service's rules turn it back into what was meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import patching from '../lib/merge_patch.js';

const NULL = 'the-token-for-null';
const patchOf = (base, mine) => JSON.parse(JSON.stringify(patching.mergePatch(base, mine, NULL) ?? null));

// RFC 7396, and then what ExpressWrite.null_placeholder says.
function apply(target, patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else Object.defineProperty(out, name, { value: apply(out[name], value), enumerable: true, configurable: true, writable: true });
  }
  return out;
}
const filled = (value) => JSON.parse(JSON.stringify(value).replaceAll(`"${NULL}"`, 'null'));

const TABLE = [
  ['nothing', { a: 1, b: [1, { c: 2 }] }, { a: 1, b: [1, { c: 2 }] }, null],
  ['a new member', {}, { a: 1 }, { a: 1 }],
  ['a deleted member', { a: 1, b: 2 }, { b: 2 }, { a: null }],
  ['a nested member', { a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, { a: { c: 3 } }],
  ['a nested delete', { a: { b: 1, c: 2 } }, { a: { b: 1 } }, { a: { c: null } }],
  ['an emptied object', { a: { b: 1 } }, { a: {} }, { a: { b: null } }],
  ['a new empty object', {}, { a: {} }, { a: {} }],
  ['an array goes as a whole', { a: [1, 2] }, { a: [1, 2, 3] }, { a: [1, 2, 3] }],
  ['null is set', { a: 1 }, { a: null }, { a: NULL }],
  ['null stays', { a: null }, { a: null }, null],
  ['null in a new object', {}, { a: { b: null } }, { a: { b: NULL } }],
  ['null in an array', {}, { a: [null, { b: null }] }, { a: [null, { b: null }] }],
  ['an object for a value', { a: 1 }, { a: { b: 2 } }, { a: { b: 2 } }],
  ['a value for an object', { a: { b: 2 } }, { a: 1 }, { a: 1 }],
  ['names of Object', JSON.parse('{"a":{"__proto__":1}}'), JSON.parse('{"a":{"__proto__":2}}'), JSON.parse('{"a":{"__proto__":2}}')],
];

for (const [what, base, mine, expected] of TABLE) {
  test(`a patch for ${what}`, () => {
    const patch = patchOf(base, mine);
    assert.deepEqual(patch, expected);
    assert.deepEqual(filled(apply(base, patch ?? {})), mine);
  });
}

test('random changes arrive, and those of another holder stay', () => {
  let seed = 12345;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const value = (depth) => {
    switch (random(depth > 2 ? 5 : 7)) {
      case 0: return null;
      case 1: return random(10);
      case 2: return 'text';
      case 3: return random(2) === 0;
      case 4: return [random(3), null];
      default: return Object.fromEntries(Array.from({ length: random(4) }, () => ['abcdef'[random(6)], value(depth + 1)]));
    }
  };
  const object = () => Object.fromEntries(Array.from({ length: 1 + random(5) }, () => ['abcdef'[random(6)], value(0)]));
  for (let i = 0; i < 5000; ++i) {
    const base = object();
    const mine = object();
    const patch = patchOf(base, mine);
    assert.deepEqual(filled(apply(base, patch ?? {})), mine);
    // Another holder added members meanwhile, at names that this one does not use.
    const theirs = { ...base, x: { y: i }, z: [i] };
    assert.deepEqual(filled(apply(theirs, patch ?? {})), { ...mine, x: { y: i }, z: [i] });
  }
});
