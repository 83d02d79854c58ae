// Waiting for conditions, never for time to pass.
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;

// Resolves with the condition's first truthy value; rejects, naming `what`, when there is none in time.
export async function until(what, condition, timeoutMs = 10_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}
