// The judge: pure functions from what was recorded to what is wrong with it. Times are of one clock, in any unit.
//
// A register history is a list of {kind: 'write' | 'read', value, start, end, outcome, what: who did it, for the reader}. Every write writes a value of its
// own. outcome of a write: 'ok' (acknowledged), 'unknown' (it may have happened, once, at any time after its start) or
// 'fail' (refused: it did not happen). A read has ended, else it is not in the list.

export const ABSENT = '(absent)';

// Whether one order of all operations explains what was read: each takes effect at one moment between its start and its
// end, and a read sees what was written last before it. For values written once that is so exactly when the zones of
// values allow it (Gibbons and Korach, "Testing shared memories"): a value that was there at two moments, with one operation
// over before another began, was there all the time between (a forward zone, overlapping no other); any other value was
// there at some moment of its zone, which must not lie within a forward zone of another value.
// Returns the violations, as texts.
export function checkRegister(name, operations) {
  const clusters = new Map([[ABSENT, { value: ABSENT, write: { start: -Infinity, end: -Infinity }, reads: [] }]]);
  const violations = [];
  for (const op of operations) {
    if (op.kind !== 'write' || op.outcome === 'fail') continue;
    if (clusters.has(op.value)) throw new Error(`${name}: ${op.value} is written twice: not a history this can judge`);
    const end = op.outcome === 'ok' ? op.end : Infinity;
    clusters.set(op.value, { value: op.value, write: { ...op, end }, reads: [] });
  }
  for (const op of operations) {
    if (op.kind !== 'read') continue;
    const cluster = clusters.get(op.value);
    if (cluster === undefined) violations.push(`${name}: ${op.value} was read, but nobody wrote it (or its write was refused)`);
    else if (op.end < cluster.write.start) violations.push(`${name}: ${op.value} was read before it was written`);
    else cluster.reads.push(op);
  }

  const forward = [];
  const backward = [];
  for (const { value, write, reads } of clusters.values()) {
    if (reads.length === 0 && write.outcome === 'unknown') continue;  // it never happened
    if (reads.length === 0 && value === ABSENT) continue;
    const all = [write, ...reads];
    const firstEnd = all.reduce((least, { end }) => Math.min(least, end), Infinity);
    const lastStart = all.reduce((most, { start }) => Math.max(most, start), -Infinity);
    if (firstEnd < lastStart) forward.push({ value, from: firstEnd, to: lastStart });
    else backward.push({ value, from: lastStart, to: firstEnd });
  }
  forward.sort((a, b) => a.from - b.from);
  let longest = null;
  for (const zone of forward) {
    if (longest && zone.from < longest.to) {
      violations.push(`${name}: ${zone.value} and ${longest.value} were both there, in turn: at ${span(zone)} and ${span(longest)}`);
    }
    if (!longest || zone.to > longest.to) longest = zone;
  }
  for (const zone of backward) {
    const around = forward.find((other) => other.from < zone.from && zone.to < other.to);
    if (around) {
      violations.push(`${name}: ${zone.value}, written and acknowledged at ${span(zone)}, is lost: ${around.value} was there before it and after it, `
        + `at ${span(around)}\n    ${[zone, around].flatMap(({ value }) => told(clusters.get(value))).join('\n    ')}`);
    }
  }
  return violations;
}

// What was recorded of a value: its write, and the first and the last who read it.
function told({ value, write, reads }) {
  const sorted = reads.toSorted((a, b) => a.start - b.start);
  return [['written', write], ['first read', sorted.at(0)], ['last read', sorted.at(-1)]].filter(([, op]) => op !== undefined)
    .map(([how, op]) => `${value} ${how} by ${op.what ?? 'nobody'}, ${op.outcome ?? 'ok'}, ${Math.round(op.start)}..${Math.round(op.end)}`);
}

const span = ({ from, to }) => `${Math.round(from)}..${Math.round(to)}`;

// Session ids that have ended stay ended, and none ends by itself.
// ends: {sid, start, end, outcome}; uses: {sid, start, end, outcome: 'ok' | 'gone' | …, what}.
export function checkEnds(ends, uses) {
  const violations = [];
  const over = new Map();
  const begun = new Map();
  for (const { sid, start, end, outcome } of ends) {
    if (outcome === 'ok') over.set(sid, Math.min(over.get(sid) ?? Infinity, end));
    if (outcome !== 'fail') begun.set(sid, Math.min(begun.get(sid) ?? Infinity, start));
  }
  for (const { sid, start, end, outcome, what } of uses) {
    if (outcome === 'ok' && start > (over.get(sid) ?? Infinity)) {
      violations.push(`${what}: session ${sid.slice(0, 6)} ended at ${Math.round(over.get(sid))}, and was used at ${Math.round(start)}`);
    }
    if (outcome === 'gone' && end < (begun.get(sid) ?? Infinity)) {
      violations.push(`${what}: session ${sid.slice(0, 6)} was gone at ${Math.round(end)}, though nobody had ended it`);
    }
  }
  return violations;
}

// No name has two owners: between the end of an acknowledged claim and the start of whatever might have given the name up,
// its owner certainly has it, and nobody else may.
// claims: {name, owner, start, end, outcome}; releases: {owner, start, end, outcome} (the end of the owner's session).
export function checkNames(claims, releases) {
  const byOwner = new Map();
  for (const op of [...claims, ...releases]) {
    if (op.outcome === 'fail') continue;
    if (!byOwner.has(op.owner)) byOwner.set(op.owner, []);
    byOwner.get(op.owner).push(op);
  }
  const held = new Map();
  for (const claim of claims) {
    if (claim.outcome !== 'ok') continue;
    let to = Infinity;
    for (const other of byOwner.get(claim.owner)) {
      const over = other.outcome === 'ok' ? other.end : Infinity;
      if (other.name !== claim.name && over > claim.start) to = Math.min(to, other.start);
    }
    if (to <= claim.end) continue;
    if (!held.has(claim.name)) held.set(claim.name, []);
    held.get(claim.name).push({ owner: claim.owner, from: claim.end, to });
  }
  const violations = [];
  for (const [name, spans] of held) {
    spans.sort((a, b) => a.from - b.from);
    spans.forEach((a, i) => {
      for (let j = i + 1; j < spans.length && spans[j].from < a.to; ++j) {
        if (spans[j].owner !== a.owner) violations.push(`"${name}" belonged to ${a.owner} at ${span(a)} and to ${spans[j].owner} at ${span(spans[j])}`);
      }
    });
  }
  return violations;
}

// What one atomic look into the store shows. records: [[sid, userName or null]…]; claims: [[name, sid]…], null: not looked at.
export function checkSnapshot(at, { records, claims, ended }) {
  const violations = [];
  const owners = new Map();
  for (const [sid, name] of records) {
    if (ended.has(sid)) violations.push(`at ${Math.round(at)}: the ended session ${sid.slice(0, 6)} has a record`);
    if (name === null) continue;
    if (owners.has(name)) violations.push(`at ${Math.round(at)}: "${name}" stands in two sessions, ${owners.get(name).slice(0, 6)} and ${sid.slice(0, 6)}`);
    owners.set(name, sid);
  }
  if (claims === null) return violations;
  const claimed = new Map(claims);
  for (const [name, sid] of owners) {
    if (claimed.get(name) !== sid) violations.push(`at ${Math.round(at)}: session ${sid.slice(0, 6)} shows "${name}", which is claimed by ${(claimed.get(name) ?? 'nobody').slice(0, 6)}`);
  }
  for (const [name, sid] of claimed) {
    if (owners.get(name) !== sid) violations.push(`at ${Math.round(at)}: "${name}" is claimed by ${sid.slice(0, 6)}, which does not show it`);
  }
  return violations;
}

// Each announcement went out once. seen: {id, position} as delivered; a position may be delivered again after a reconnect.
export function checkOnce(seen) {
  const places = new Map();
  for (const { id, position } of seen) places.set(id, (places.get(id) ?? new Set()).add(position));
  return [...places].filter(([, positions]) => positions.size > 1)
    .map(([id, positions]) => `announcement ${id} went out ${positions.size} times: at ${[...positions].join(' and ')}`);
}
