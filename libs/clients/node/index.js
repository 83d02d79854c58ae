// SESIOR from Node: sessions, watches and broadcasts over gRPC. See README.md; index.d.ts says what each call takes.
'use strict';

const { Channels } = require('./lib/channels');
const { SesiorError } = require('./lib/errors');
const { durationOf, refOf, sessionOf, timeOf, token, wordOf } = require('./lib/messages');
const { SessionWatch } = require('./lib/watch');

const BATCH = 100;

const jsonOf = (value) => (value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value));

// Arguments of an event, with what is binary taken out of them: Socket.IO sends it beside the JSON.
function packetOf(values) {
  const attachments = [];
  return { argsJson: JSON.stringify(withoutBytes(values, attachments)), attachments };
}

function withoutBytes(value, attachments) {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    attachments.push(Buffer.from(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength));
    return { _placeholder: true, num: attachments.length - 1 };
  }
  if (Array.isArray(value)) return value.map((inner) => withoutBytes(inner, attachments));
  if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutBytes(inner, attachments)]));
}

class Sesior {
  #channels;
  #watches = new Set();

  constructor({ addresses = '127.0.0.1:7100', tls, token: credential, timeoutMs = 2000, maxTries = 5 } = {}) {
    const list = typeof addresses === 'string' ? addresses.split(',') : [...addresses];
    if (list.length === 0 || list.some((address) => !address)) throw new TypeError('addresses: at least one host:port');
    this.#channels = new Channels({ addresses: list, tls, token: credential, timeoutMs, maxTries });
  }

  close() {
    for (const watch of this.#watches) watch.close();
    this.#channels.close();
  }

  async resolveCookie(header, { touch = false, ...call } = {}) {
    const response = await this.#channels.call('sessions', 'resolveCookie', { cookieHeader: header ?? '', touch }, call);
    return {
      verdict: wordOf(response.verdict, 'COOKIE_VERDICT_'),
      session: sessionOf(response.session),
      setCookie: response.setCookie,
    };
  }

  async getSession(session, { touch = false, withCookieJson = false, ...call } = {}) {
    try {
      const request = { session: refOf(session), touch, withCookieJson };
      return sessionOf((await this.#channels.call('sessions', 'getSession', request, call)).session);
    } catch (error) {
      if (error.code === 'NOT_FOUND') return null;
      throw error;
    }
  }

  async getSessions(ids, call) {
    const list = [...new Set(ids)];
    const found = new Map();
    for (let at = 0; at < list.length; at += BATCH) {
      const request = { sessionIds: list.slice(at, at + BATCH) };
      const { sessions } = await this.#channels.call('sessions', 'batchGetSessions', request, call);
      for (const message of sessions) found.set(message.sessionId, sessionOf(message));
    }
    return found;
  }

  async createSession({ data, userId, device, idleTtlMs, absoluteTtlMs, claims, express, requestId = token(), ...call } = {}) {
    const request = {
      dataJson: jsonOf(data), userId, device, idleTtl: durationOf(idleTtlMs), absoluteTtl: durationOf(absoluteTtlMs), claims,
      express: expressOf(express), requestId,
    };
    return written(await this.#channels.call('sessions', 'createSession', request, call));
  }

  async updateSession(
    session, patch, { etag, claims, touch = false, announce, userIdIfNone, device, express, requestId = token(), ...call } = {},
  ) {
    const request = {
      session: refOf(session), mergePatchJson: jsonOf(patch), etag, claims, touch, announcement: announcementOf(announce),
      userIdIfNone, device, express: expressOf(express), requestId,
    };
    return written(await this.#channels.call('sessions', 'updateSession', request, call));
  }

  async touchSession(session, call) {
    const response = await this.#channels.call('sessions', 'touchSession', { session: refOf(session) }, call);
    return { touched: response.touched, expireTime: timeOf(response.expireTime) };
  }

  async regenerateSession(session, { reason = 'login', keepData = true, patch, etag, claims, userId, requestId = token(), ...call } = {}) {
    const request = {
      session: refOf(session), reason: reasonOf(reason), keepData, mergePatchJson: jsonOf(patch), etag, claims, userId,
      requestId,
    };
    return written(await this.#channels.call('sessions', 'regenerateSession', request, call));
  }

  async destroySession(session, { reason = 'logout', etag, requestId = token(), ...call } = {}) {
    const request = { session: refOf(session), reason: reasonOf(reason), etag, requestId };
    const response = await this.#channels.call('sessions', 'destroySession', request, call);
    return { destroyed: response.destroyed, clearCookie: response.clearCookie };
  }

  async listSessions({ userId, caller, pageSize, pageToken, ...call } = {}) {
    const request = { userId, caller: caller && refOf(caller), pageSize, pageToken };
    const response = await this.#channels.call('sessions', 'listSessions', request, call);
    const { nextPageToken, currentHandle } = response;
    return { sessions: response.sessions.map(sessionOf), nextPageToken, currentHandle };
  }

  async endUserSessions({ userId, caller, handle, exceptCaller, exceptSessionId, reason = 'revoked', ...call } = {}) {
    const request = { userId, caller: caller && refOf(caller), handle, exceptCaller, exceptSessionId, reason: reasonOf(reason) };
    const response = await this.#channels.call('sessions', 'destroyUserSessions', request, call);
    return { ended: response.destroyedCount, clearCookie: response.clearCookie };
  }

  watch(...sessions) {
    const watch = new SessionWatch(this.#channels);
    this.#watches.add(watch);
    watch.once('close', () => this.#watches.delete(watch));
    return watch.add(...sessions);
  }

  async publish(event, args = [], { namespace = '/', rooms, except, volatile = false, requestId = token(), ...call } = {}) {
    const broadcast = { namespace, rooms, except, volatile, packet: packetOf([event, ...args]) };
    return (await this.#channels.call('broadcasts', 'publish', { broadcast, requestId }, call)).position;
  }

  async emit(
    event, args = [], { namespace = '/', rooms, userIds, sessionIds, except, requestId = token(), ...call } = {},
  ) {
    const request = { namespace, event, ...packetOf(args), rooms, userIds, sessionIds, except, requestId };
    return (await this.#channels.call('broadcasts', 'emit', request, call)).position;
  }

  async listOnline({ namespace = '/', newestFirst = false, after, limit, ...call } = {}) {
    const request = { namespace, order: newestFirst ? 'ONLINE_ORDER_NEWEST' : 'ONLINE_ORDER_BY_KEY', after, limit };
    const response = await this.#channels.call('presence', 'listOnline', request, call);
    const entries = response.entries.map(({ key, valueJson, since }) => ({
      key, value: valueJson ? JSON.parse(valueJson) : undefined, since: timeOf(since),
    }));
    return { total: response.totalCount, entries };
  }

  async countOnline({ namespace = '/', ...call } = {}) {
    return (await this.#channels.call('presence', 'countOnline', { namespace }, call)).totalCount;
  }

  health({ timeoutMs } = {}) {
    return this.#channels.health(timeoutMs);
  }
}

const reasonOf = (word) => `END_REASON_${word.toUpperCase().replaceAll('-', '_')}`;

function announcementOf(announce) {
  if (!announce) return undefined;
  const { event, args = [], namespace = '/', rooms, except, onlyIfOnline = false } = announce;
  return { broadcast: { namespace, rooms, except, packet: packetOf([event, ...args]) }, onlyIfOnline };
}

const expressOf = (express) => express && { ...express, idleTtl: durationOf(express.idleTtlMs) };

const written = (response) => ({
  session: sessionOf(response.session),
  setCookie: response.setCookie,
  previous: response.claims.map(({ previousValue }) => previousValue),
});

module.exports = { Sesior, SesiorError, SessionWatch };
