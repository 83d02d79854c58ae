// What turns `base` into `mine`, as a JSON merge patch (RFC 7396): only what this holder changed, so that what others
// changed meanwhile stays. Both are plain values from JSON.parse.
'use strict';

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const has = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

// A patch deletes by null, so that a null that is meant stands as `nullToken`. Inside arrays, which are replaced as a
// whole, null is null.
function marked(value, nullToken) {
  if (value === null) return nullToken;
  if (!isObject(value)) return value;
  const out = Object.create(null);
  for (const [name, inner] of Object.entries(value)) out[name] = marked(inner, nullToken);
  return out;
}

// The patch, undefined when there is nothing to change.
function mergePatch(base, mine, nullToken) {
  const patch = Object.create(null);
  for (const name of Object.keys(base)) {
    if (!has(mine, name)) patch[name] = null;
  }
  for (const [name, value] of Object.entries(mine)) {
    if (has(base, name)) {
      if (isObject(value) && isObject(base[name])) {
        const inner = mergePatch(base[name], value, nullToken);
        if (inner) patch[name] = inner;
        continue;
      }
      if (JSON.stringify(value) === JSON.stringify(base[name])) continue;
    }
    patch[name] = marked(value, nullToken);
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

module.exports = { mergePatch };
