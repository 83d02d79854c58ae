// Traffic: what users do meanwhile, and the account of what they noticed. Each user has a session of their own and one socket
// of the official client; one of them is renamed over REST again and again, which everybody is told; others ask REST.
//
// lost()   renames that a listener did not get although its socket was connected all the while: never allowed.
// away()   renames that a listener did not get because its socket was being moved to another pod.
// failed   requests that were not answered with 200.
import { setTimeout as sleep } from 'node:timers/promises';

import { io } from 'socket.io-client';
import { Browser } from '../../e2e/support/http.mjs';
import { until } from '../../e2e/support/wait.mjs';

const ASK_PAUSE_MS = 25;
const RENAME_PAUSE_MS = 100;
let serial = 0;
const fresh = (prefix) => `${prefix} ${process.pid}-${++serial}`;

class Listener {
  got = new Map();   // name to how often
  gaps = [];         // [from, to] in which it was not connected
  #since = null;
  recovered = 0;
  reconnects = 0;

  constructor(url, cookie, options = {}) {
    this.socket = io(url, { transports: ['websocket'], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000, extraHeaders: { cookie }, ...options });
    this.socket.on('user:renamed', ({ user }) => this.got.set(user.userName, (this.got.get(user.userName) ?? 0) + 1));
    this.socket.on('connect', () => {
      if (this.#since === null) return;
      this.gaps.push([this.#since, Date.now()]);
      this.#since = null;
      ++this.reconnects;
      if (this.socket.recovered) ++this.recovered;
    });
    this.socket.on('disconnect', (reason) => {
      this.#since = Date.now();
      if (reason === 'io server disconnect') this.socket.connect();
    });
  }
  connectedAllFrom(from, to) {
    return this.#since === null && !this.gaps.some(([a, b]) => a - 50 < to && b + 50 > from);
  }
}

export class Traffic {
  asked = 0;
  failed = [];
  renames = [];  // {name, from, to}
  #stopping = false;
  #loops = [];

  constructor(rest, realtime) {
    this.rest = rest;
    this.realtime = realtime;
  }

  // `listeners` sockets, `askers` loops of requests.
  async start({ listeners = 12, askers = 4 } = {}) {
    this.speaker = new Browser(this.rest);
    await this.#register(this.speaker, fresh('speaker'));
    // Its sockets keep it online, wherever one of them is being moved.
    this.voices = [1, 2, 3].map(() => new Listener(this.realtime, this.speaker.cookie));
    this.users = [];
    for (let i = 0; i < listeners; ++i) {
      const browser = new Browser(this.rest);
      await this.#register(browser, fresh('user'));
      this.users.push({ browser, listener: new Listener(this.realtime, browser.cookie) });
    }
    await until('all sockets', () => this.sockets.every((l) => l.socket.connected));
    // Each announces itself, and again after it has been moved: who is not online is not told about.
    // The name may have changed on the way there.
    const announce = (voice) => until('the speaker to be announced', async () => (await voice.socket.emitWithAck('user:connected', this.speakerName)) === null);
    for (const voice of this.voices) {
      await announce(voice);
      voice.socket.on('connect', () => announce(voice).catch(() => {}));  // another of them is there
    }
    for (let i = 0; i < askers; ++i) this.#loops.push(this.#ask(this.users[i % this.users.length].browser));
    this.#loops.push(this.#speak());
  }
  get sockets() {
    return [...this.voices, ...this.users.map((u) => u.listener)];
  }

  // Ends the requests, waits for the last rename, and closes the sockets.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#loops);
    await until('all sockets again', () => this.sockets.every((l) => l.socket.connected), 30_000);
    await this.#rename();
    const last = this.renames.at(-1).name;
    await until('the last rename', () => this.users.every((u) => u.listener.got.has(last)), 15_000);
    for (const listener of this.sockets) listener.socket.disconnect();
  }

  lost() {
    return this.#missing((listener, { from, to }) => listener.connectedAllFrom(from, to));
  }
  away() {
    return this.#missing((listener, { from, to }) => !listener.connectedAllFrom(from, to));
  }
  doubled() {
    return this.users.flatMap(({ listener }) => [...listener.got].filter(([, times]) => times > 1).map(([name]) => name));
  }
  get reconnects() {
    return this.sockets.reduce((sum, l) => sum + l.reconnects, 0);
  }
  get recovered() {
    return this.sockets.reduce((sum, l) => sum + l.recovered, 0);
  }
  summary() {
    const extra = this.away().length ? `, ${this.away().length} renames missed by sockets on their way to another pod` : '';
    return `${this.asked} requests, ${this.failed.length} failed; ${this.renames.length} renames to ${this.users.length} sockets, ${this.lost().length} lost${extra}; ${this.reconnects} reconnects (${this.recovered} recovered)`;
  }

  #missing(fits) {
    return this.users.flatMap(({ listener }) => this.renames.filter((r) => !listener.got.has(r.name) && fits(listener, r)).map((r) => r.name));
  }

  async #register(browser, name) {
    const answer = await browser.register(name);
    if (answer.status !== 200) throw new Error(`register: ${answer.status} ${answer.text}`);
    if (browser === this.speaker) this.speakerName = name;
  }

  async #ask(browser) {
    while (!this.#stopping) {
      ++this.asked;
      try {
        const answer = await browser.get('/verify-session');
        if (answer.status !== 200 || answer.json?.sessionVerified !== true) this.failed.push(`${answer.status} ${answer.text}`);
      } catch (error) {
        this.failed.push(error.message);
      }
      await sleep(ASK_PAUSE_MS);
    }
  }
  async #rename() {
    const name = fresh('speaker');
    const from = Date.now();
    ++this.asked;
    const answer = await this.speaker.register(name).catch((error) => ({ status: error.message }));
    // What was not acknowledged may have been told or not.
    if (answer.status === 200) {
      this.speakerName = name;
      this.renames.push({ name, from, to: Date.now() });
    } else this.failed.push(`rename: ${answer.status} ${answer.text ?? ''}`);
  }
  async #speak() {
    while (!this.#stopping) {
      await this.#rename();
      await sleep(RENAME_PAUSE_MS);
    }
  }
}
