// Sessions as express-session and connect-redis write them, made by hand: what an application that is still on Express
// would have left in the shared Redis.
import { createHmac, randomBytes } from 'node:crypto';

import { SECRET } from './system.mjs';

export function signedCookie(sid, secret = SECRET) {
  const signature = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '');
  return `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`;
}

// Stores a session with these members; resolves with {sid, cookie}.
export async function writeSession(system, members) {
  const sid = randomBytes(24).toString('base64url');
  const record = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, ...members };
  await system.redisCli('SET', `sess:${sid}`, JSON.stringify(record), 'EX', '86400');
  return { sid, cookie: signedCookie(sid) };
}

// The record of a cookie's session, or null.
export async function readSession(system, cookie) {
  const text = await system.redisCli('GET', `sess:${sidOf(cookie)}`);
  return text === '' ? null : JSON.parse(text);
}

export function sidOf(cookie) {
  const value = decodeURIComponent(cookie.slice('connect.sid='.length));
  return value.slice(2, value.lastIndexOf('.'));
}
