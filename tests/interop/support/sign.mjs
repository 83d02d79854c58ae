// Cookies signed by express-session's own library, and the ways to bend them.
import { randomBytes } from 'node:crypto';

import { sign } from 'cookie-signature';

export const newSid = () => randomBytes(24).toString('base64url');

// The signed value before it is encoded: "s:<sid>.<signature>".
export const signed = (sid, secret) => `s:${sign(sid, secret)}`;

// A session id for which the signature holds all that can be encoded in more than one way.
export function tellingSid(secret) {
  for (;;) {
    const sid = newSid();
    const signature = signed(sid, secret).split('.').at(-1);
    if (signature.includes('+') && signature.includes('/')) return sid;
  }
}

export const everyByteEncoded = (text) => [...Buffer.from(text)].map((b) => `%${b.toString(16).padStart(2, '0').toUpperCase()}`).join('');

// The last of 43 characters carries four bits that count and two that do not.
export function unusedBitsFlipped(value) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return value.slice(0, -1) + alphabet[alphabet.indexOf(value.at(-1)) ^ 1];
}
