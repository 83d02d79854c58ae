// A store for express-session that sends what a request changed, never the whole session: see README.md.
'use strict';

const { Store } = require('express-session');

const { Sesior } = require('./index');
const { mergePatch } = require('./lib/merge_patch');
const { token } = require('./lib/messages');

// Express cannot load these from a record: its own members, and what every object has.
const isReserved = (name) => name in Object.prototype || OWN.has(name);
const OWN = new Set(['id', 'req', 'cookie', 'touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate']);

// As in CreateSessionRequest.user_id.
const USER_ID = /^[!-z|~]{1,128}$/;

// The session as JSON text, without its cookie. Taken at once: the request goes on while we send.
function textOf(session) {
  return JSON.stringify(Object.fromEntries(Object.entries(session).filter(([name]) => !isReserved(name))));
}

// What of a cookie makes it another one: its date only moves along.
function faceOf(cookie) {
  return JSON.stringify({ ...JSON.parse(JSON.stringify(cookie)), expires: undefined });
}

// Where a request came from; `trust proxy` of Express says which address that is.
function deviceOf(req) {
  const address = req.ip ?? req.socket?.remoteAddress;
  return { address: address?.replace(/^::ffff:/, ''), userAgent: req.headers?.['user-agent'] };
}

class SesiorStore extends Store {
  #client;
  #ownsClient;
  #ttl;
  #disableTouch;
  #userId;
  #device;
  // What a holder of a session (a request's `req.session`, or what `get` gave out) knows: the data it began with, so
  // that its changes can be told from those of others. Without an entry the holder's session is new.
  #known = new WeakMap(); // holder -> {sid, base, face, user, turn}

  // Writes that came too late, because their session had ended.
  dropped = 0;

  constructor({
    client, ttl, disableTouch = false, userId = (session) => session.passport?.user, device = deviceOf, ...connection
  } = {}) {
    super();
    this.#client = client ?? new Sesior(connection);
    this.#ownsClient = !client;
    this.#ttl = ttl;
    this.#disableTouch = disableTouch;
    this.#userId = userId;
    this.#device = device;
  }

  get client() {
    return this.#client;
  }

  close() {
    if (this.#ownsClient) this.#client.close();
  }

  get(sid, callback) {
    return answer(this.#get(sid), callback);
  }

  set(sid, session, callback) {
    const mine = textOf(session);
    const cookie = JSON.stringify(session.cookie);
    return answer(this.#inTurn(sid, session, (known) => this.#set(sid, session, known, mine, cookie)), callback);
  }

  touch(sid, session, callback) {
    const cookie = JSON.stringify(session.cookie);
    return answer(this.#inTurn(sid, session, (known) => this.#touch(sid, session, known, cookie)), callback);
  }

  destroy(sid, callback) {
    return answer(this.#end(sid, 'logout'), callback);
  }

  // As express-session's own, but sockets are told that it was a login.
  regenerate(req, callback) {
    this.#end(req.sessionID, 'login').then(
      () => {
        this.generate(req);
        callback();
      },
      (error) => {
        this.generate(req);
        callback(error);
      },
    );
  }

  createSession(req, data) {
    const known = this.#known.get(data);
    const session = super.createSession(req, data);
    if (known) this.#known.set(session, { ...known });
    return session;
  }

  async #get(sid) {
    const found = await this.#client.getSession(sid, { withCookieJson: true });
    if (!found) return null;
    const base = JSON.parse(found.dataJson);
    const cookie = JSON.parse(found.cookieJson);
    const data = { cookie, ...JSON.parse(found.dataJson) };
    this.#known.set(data, { sid, base, face: faceOf(cookie), user: found.userId || undefined });
    return data;
  }

  // Calls of one holder one after the other: the second builds on what the first has sent.
  #inTurn(sid, session, step) {
    let known = this.#known.get(session);
    if (known?.sid !== sid) this.#known.set(session, (known = { sid, base: null, face: null }));
    const result = (known.turn ?? Promise.resolve()).then(() => step(known));
    known.turn = result.catch(() => {});
    return result;
  }

  // As connect-redis counts: what is left until the cookie expires, in ms; undefined: the cookie has no date.
  #left(cookie) {
    const { expires } = JSON.parse(cookie);
    return expires ? new Date(expires).getTime() - Date.now() : undefined;
  }

  // The idle limit where the cookie sets none. undefined: the service's own.
  #idleTtlMs(session, cookie) {
    if (JSON.parse(cookie).originalMaxAge) return undefined;
    const seconds = typeof this.#ttl === 'function' ? this.#ttl(session) : this.#ttl;
    return seconds ? seconds * 1000 : undefined;
  }

  async #set(sid, session, known, text, cookie) {
    if (this.#left(cookie) <= 0) return this.#end(sid, 'expired');
    const mine = JSON.parse(text);
    const face = faceOf(JSON.parse(cookie));
    const write = { idleTtlMs: this.#idleTtlMs(session, cookie), nullPlaceholder: token() };
    if (known.base === null) {
      const made = await this.#create(sid, session, mine, { ...write, sessionId: sid, cookieJson: cookie });
      // There is one, which this holder has not read: what it has goes on top, and nothing is taken away.
      if (!made) {
        await this.#update(sid, mergePatch({}, mine, write.nullPlaceholder), { ...write, cookieJson: cookie }, this.#login(session, known));
      }
    } else {
      const patch = mergePatch(known.base, mine, write.nullPlaceholder);
      if (face !== known.face) write.cookieJson = cookie;
      const login = this.#login(session, known);
      if (!patch && !write.cookieJson && !login) return this.#renew(sid);
      await this.#update(sid, patch, write, login);
    }
    known.base = mine;
    known.face = face;
    known.user = this.#userOf(session) ?? known.user;
  }

  async #touch(sid, session, known, cookie) {
    if (this.#disableTouch) return;
    if (this.#left(cookie) <= 0) return this.#end(sid, 'expired');
    const face = faceOf(JSON.parse(cookie));
    if (known.face === null || face === known.face) return this.#renew(sid);
    await this.#update(sid, undefined, { idleTtlMs: this.#idleTtlMs(session, cookie), cookieJson: cookie });
    known.face = face;
  }

  // False: there is one with this id already.
  async #create(sid, session, mine, express) {
    const userId = this.#userOf(session);
    const device = session.req && this.#device(session.req);
    const data = mergePatch({}, mine, express.nullPlaceholder) ?? {};
    try {
      await this.#client.createSession({ data, userId, device, express });
    } catch (error) {
      if (error.reason === 'SESSION_EXISTS') return false;
      this.#unlessGone(error, 'set');
    }
    return true;
  }

  // undefined: nobody, or what no user can be.
  #userOf(session) {
    const user = this.#userId(session);
    return ['string', 'number'].includes(typeof user) && USER_ID.test(user) ? String(user) : undefined;
  }

  // What an update says of a session that nobody was signed in to when it was read: now somebody is, under the same id.
  #login(session, known) {
    const user = this.#userOf(session);
    if (user === undefined || known.user !== undefined) return undefined;
    return { userIdIfNone: user, device: session.req && this.#device(session.req) };
  }

  async #update(sid, patch, express, login) {
    try {
      await this.#client.updateSession(sid, patch ?? {}, { touch: true, express, ...login });
    } catch (error) {
      this.#unlessGone(error, 'set');
    }
  }

  async #renew(sid) {
    try {
      await this.#client.touchSession(sid);
    } catch (error) {
      this.#unlessGone(error, 'touch');
    }
  }

  async #end(sid, reason) {
    await this.#client.destroySession(sid, { reason });
  }

  // A write to a session that has ended does nothing, and is no error: the user is logged out. It is counted.
  #unlessGone(error, operation) {
    if (error.code !== 'NOT_FOUND') throw error;
    if (operation === 'touch') return;
    ++this.dropped;
    this.emit('dropped', { operation, reason: error.reason });
  }
}

// express-session passes callbacks; without one the promise is the answer.
function answer(promise, callback) {
  if (!callback) return promise;
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  );
}

module.exports = { SesiorStore };
