// What was promised, held against what each socket saw. Pure functions over records, so that a checker that finds nothing
// can be shown to find something (check.test.mjs).
//
// A write: {name, from, begun, acked}: `acked` undefined: its outcome is not known.
// A view, one a socket: {user, lives: [{up, down, recovered}], seen: [{name, at}], gaps: [at]}; times in ms of one clock.
// A life is the time from CONNECT to the loss of the connection (`down` undefined: it still stands); one that is recovered
// continues the one before it.

// How long a connection may be dead before somebody notices (ping interval and timeout of the world, and a bit): what was
// sent into it meanwhile is lost with it.
const SLACK_MS = 4000;

// The times for which a socket was not told that it had lost its place.
function spans(lives) {
  const merged = [];
  for (const life of lives) {
    const last = merged.at(-1);
    if (last && life.recovered) last.down = life.down;
    else merged.push({ up: life.up, down: life.down });
  }
  return merged;
}

// How each acknowledged write reached each other socket: {delivered, gap, told, silent: [...], doubled: [...]}.
//   delivered  it came
//   gap        it did not, and a gap was announced behind it
//   told       it fell into a break after which the client got a new id: it knows that it has to read anew
//   silent     none of these
export function account(writes, views) {
  const result = { delivered: 0, gap: 0, told: 0, silent: [], doubled: [] };
  for (const view of views) {
    const seen = new Map();
    for (const { name, at } of view.seen) {
      if (seen.has(name)) result.doubled.push(`${view.user} got ${name} twice`);
      seen.set(name, at);
    }
    const whole = spans(view.lives);
    for (const write of writes) {
      if (write.acked === undefined || write.from === view.user) continue;
      if (seen.has(write.name)) {
        ++result.delivered;
      } else if (view.gaps.some((at) => at >= write.begun)) {
        ++result.gap;
      } else if (!whole.some(({ up, down }) => up < write.begun && (down === undefined || down > write.acked + SLACK_MS))) {
        ++result.told;
      } else {
        result.silent.push(`${view.user} never got ${write.name} (acknowledged at ${Math.round(write.acked)})`);
      }
    }
  }
  return result;
}

// Is what a user is called now something that may be? The last acknowledged name, or one whose outcome is not known and
// which was asked for after it.
export function nameProblem(user, now, writes) {
  const own = writes.filter(({ from }) => from === user);
  const last = own.findLastIndex(({ acked }) => acked !== undefined);
  const possible = own.slice(Math.max(last, 0)).map(({ name }) => name);
  return possible.includes(now) ? null : `${user} is called ${now}; acknowledged: ${own[last]?.name ?? 'nothing'}`;
}

// The most things that happened within any second.
export function mostInASecond(times) {
  const sorted = times.toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; ++last) {
    while (sorted[last] - sorted[first] > 1000) ++first;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
