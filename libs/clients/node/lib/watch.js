'use strict';

const { EventEmitter } = require('node:events');

const { pauseBefore } = require('./channels');
const { fromGrpc, SesiorError } = require('./errors');
const { refOf, sessionOf, wordOf } = require('./messages');

// These do not mend themselves.
const FATAL = new Set(['PERMISSION_DENIED', 'UNAUTHENTICATED', 'INVALID_ARGUMENT', 'UNIMPLEMENTED']);
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const BATCH = 1000;

// Sessions under watch. Each has one `current` or `refused`, then `updated` and `touched`, at last `ended`; all of them
// also come as `change`, and from `for await`, where only the newest state of a session waits. A broken stream is
// opened again, on another replica where there is one: what changed meanwhile comes as `updated` or `ended`.
class SessionWatch extends EventEmitter {
  #channels;
  #stream = null;
  #timer = null;
  #failures = 0;
  #closed = false;
  #fatal = null;
  #serial = 0;
  #watched = new Map(); // watch id -> {ref, request, revision, answered}
  #iterators = new Set();

  constructor(channels) {
    super();
    this.#channels = channels;
  }

  // Starts to watch; `session` comes back as `ref` in its events.
  add(...sessions) {
    if (this.#closed) throw new Error('the watch is closed');
    const added = [];
    for (const session of sessions) {
      const watchId = ++this.#serial;
      this.#watched.set(watchId, { ref: session, request: refOf(session), revision: 0, answered: false });
      added.push(watchId);
    }
    if (this.#stream) this.#send(added);
    else if (!this.#timer) this.#open();
    return this;
  }

  remove(...sessions) {
    const gone = new Set(sessions.map(keyOf));
    const ids = [...this.#watched].filter(([, { ref }]) => gone.has(keyOf(ref))).map(([watchId]) => watchId);
    for (const watchId of ids) this.#watched.delete(watchId);
    if (ids.length > 0) this.#stream?.write({ remove: ids });
    return this;
  }

  get size() {
    return this.#watched.size;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drop();
    for (const iterator of this.#iterators) iterator.wake();
    this.emit('close');
  }

  // Ends when the watch is closed; throws what made it close.
  async *[Symbol.asyncIterator]() {
    const iterator = { waiting: new Map(), wake: () => {} };
    this.#iterators.add(iterator);
    try {
      while (true) {
        const [next] = iterator.waiting;
        if (next) {
          iterator.waiting.delete(next[0]);
          yield next[1];
        } else if (this.#fatal) {
          throw this.#fatal;
        } else if (this.#closed) {
          return;
        } else {
          await new Promise((resolve) => (iterator.wake = resolve));
        }
      }
    } finally {
      this.#iterators.delete(iterator);
    }
  }

  #open() {
    this.#timer = null;
    const stream = this.#channels.stream('sessions', 'watchSessions');
    this.#stream = stream;
    stream.on('data', (response) => {
      if (stream !== this.#stream) return;
      this.#failures = 0;
      for (const event of response.events) this.#take(event);
      if (response.goAway && stream === this.#stream) this.#move();
    });
    stream.on('error', (error) => this.#lost(stream, fromGrpc(error, 'WatchSessions')));
    stream.on('end', () => this.#lost(stream, new SesiorError('the stream has ended', { code: 'UNAVAILABLE', method: 'WatchSessions' })));
    this.#send([...this.#watched.keys()]);
  }

  #send(ids) {
    for (let at = 0; at < ids.length; at += BATCH) {
      const add = ids.slice(at, at + BATCH).map((watchId) => {
        const { request, revision } = this.#watched.get(watchId);
        return { watchId, session: request, knownRevision: revision };
      });
      this.#stream.write({ add });
    }
  }

  // The server is about to end the stream: another takes over, then this one goes.
  #move() {
    const old = this.#stream;
    this.#open();
    old.end();
  }

  #drop() {
    const stream = this.#stream;
    this.#stream = null;
    stream?.cancel();
  }

  #lost(stream, error) {
    if (stream !== this.#stream || this.#closed) return;
    this.#stream = null;
    if (FATAL.has(error.code)) {
      this.#fatal = error;
      this.close();
      if (this.listenerCount('error') > 0 || this.#iterators.size === 0) this.emit('error', error);
      return;
    }
    this.emit('interrupted', error);
    this.#timer = setTimeout(() => this.#open(), pauseBefore(++this.#failures, error.retryAfterMs, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
  }

  #take(event) {
    const watched = this.#watched.get(event.watchId);
    if (!watched) return;
    let kind = wordOf(event.kind, 'WATCH_EVENT_KIND_');
    const session = sessionOf(event.session);
    if (kind === 'current' && watched.answered) {
      if (!session || session.revision === watched.revision) return; // nothing has changed while the stream was away
      kind = 'updated';
    }
    if (kind === 'refused' && watched.answered) kind = 'ended';
    if (session && session.revision < watched.revision) return; // an older replica answered
    watched.answered = true;
    if (session) watched.revision = session.revision;
    if (kind === 'ended' || kind === 'refused') this.#watched.delete(event.watchId);
    const told = { kind, ref: watched.ref };
    if (session) told.session = session;
    if (kind === 'ended') told.reason = wordOf(event.reason, 'END_REASON_');
    if (kind === 'refused') told.verdict = wordOf(event.verdict, 'COOKIE_VERDICT_');
    for (const iterator of this.#iterators) {
      const waits = iterator.waiting.get(event.watchId);
      const stays = (waits?.kind === 'current' && session) || (waits?.kind === 'updated' && kind === 'touched');
      iterator.waiting.set(event.watchId, stays ? { ...told, kind: waits.kind } : told);
      iterator.wake();
    }
    this.emit('change', told);
    this.emit(kind, told);
  }
}

const keyOf = (session) => JSON.stringify(refOf(session));

module.exports = { SessionWatch };
