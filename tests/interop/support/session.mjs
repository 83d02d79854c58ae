// One browser's session at both: Express and SESIOR get the same cookie.
import { raw } from './raw.mjs';
import { newSid, signed } from './sign.mjs';

export const RECORD = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' } };

export class Shared {
  cookie = null;

  // app: the ExpressApp; rest: SESIOR's address.
  constructor(app, rest) {
    this.app = app;
    this.rest = rest;
  }

  // With a record that is in Redis already, exactly these bytes (text or Buffer).
  static async holding(app, rest, secret, bytes, ttlMs = 86_400_000) {
    const shared = new Shared(app, rest);
    const sid = newSid();
    await app.redis.sendCommand(['SET', `sess:${sid}`, bytes, ...(ttlMs === null ? [] : ['PX', String(ttlMs)])]);
    shared.cookie = `connect.sid=${encodeURIComponent(signed(sid, secret))}`;
    return shared;
  }

  get sid() {
    const value = decodeURIComponent(this.cookie.slice('connect.sid='.length));
    return value.slice(2, value.lastIndexOf('.'));
  }

  get key() {
    return `sess:${this.sid}`;
  }

  express(method, path, body) {
    return this.#send(this.app.url, method, path, body);
  }

  sesior(method, path, body, lines) {
    return this.#send(this.rest, method, path, body, lines);
  }

  record() {
    return this.app.redis.get(this.key);
  }

  pttl() {
    return this.app.redis.pTTL(this.key);
  }

  // Answers are remembered as a browser does: a cookie that was set is sent from then on.
  async #send(url, method, path, body, lines = []) {
    const cookie = this.cookie ? [`Cookie: ${this.cookie}`] : [];
    const answer = await raw(url, method, path, [...cookie, ...lines], body === undefined ? '' : JSON.stringify(body));
    const set = answer.setCookie.find((line) => line.startsWith('connect.sid='));
    if (set) this.cookie = set.startsWith('connect.sid=;') ? null : set.split(';')[0];
    return answer;
  }
}
