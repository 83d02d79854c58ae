// Compiled, never run: what an application in TypeScript writes.
import session from 'express-session';
import { Sesior, SesiorError, type WatchChange } from 'sesior';
import { SesiorStore } from 'sesior/express-session';

const sesior = new Sesior({ addresses: ['a:1', 'b:2'], token: () => 'secret', tls: { ca: 'ca.pem' } });
export const store: session.Store = new SesiorStore({ client: sesior, ttl: 60, userId: (data) => data.cookie.path });
export const middleware = session({ store, secret: 's' });

export async function use(header: string | undefined): Promise<number> {
  const { verdict, session: found } = await sesior.resolveCookie<{ visits: number }>(header);
  if (verdict === 'valid' && found) await sesior.updateSession(found, { visits: found.data.visits + 1 }, { etag: found.etag });
  try {
    await sesior.publish('news', [{ a: 1 }, Buffer.from('x')], { rooms: ['r'] });
  } catch (error) {
    if (error instanceof SesiorError && error.code === 'UNAVAILABLE') return error.retryAfterMs ?? 0;
  }
  const show = (change: WatchChange) => (change.kind === 'ended' ? change.reason : change.ref);
  sesior.watch('id').on('change', show);
  for await (const change of sesior.watch({ cookie: 'c' })) {
    if (change.kind === 'updated') return change.session.revision;
  }
  // @ts-expect-error a session has no such member
  return found?.nothing;
}
