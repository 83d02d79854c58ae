// Users at work while something breaks: each renames itself again and again over its socket, and everybody writes down
// what it sees. A rename is a write of the session and a broadcast in one step.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { Browser } from '../e2e/support/http.mjs';
import { until } from '../e2e/support/wait.mjs';
import { account, mostInASecond, nameProblem } from './check.mjs';

const { io } = createRequire(new URL('../e2e/package.json', import.meta.url))('socket.io-client');

const PAUSE_MS = 120;     // of a user between two renames
const ACK_MS = 4000;
const QUIET_MS = 1200;    // what is under way has arrived by then
const RECOVER_MS = 40_000;

const now = () => performance.now();

class User {
  lives = [];
  seen = [];
  gaps = [];
  connects = [];
  lastGood = 0;  // when the last write that was acknowledged had been begun

  constructor(name, browser, socket, writes) {
    Object.assign(this, { user: name, browser, socket, writes });
    socket.on('connect', () => {
      this.connects.push(now());
      this.lives.push({ up: now(), recovered: socket.recovered });
      // As a page does: it says that it is there, and reads everything anew.
      socket.timeout(ACK_MS).emit('user:connected', this.called, () => {});
    });
    socket.on('disconnect', () => this.lives.length > 0 && (this.lives.at(-1).down = now()));
    socket.on('user:renamed', ({ user }) => this.seen.push({ name: user.userName, at: now() }));
    socket.on('sesior:gap', () => this.gaps.push(now()));
  }

  get called() {
    return this.writes.findLast((write) => write.from === this.user && write.acked !== undefined)?.name ?? this.user;
  }

  reset() {
    this.lives = this.socket.connected ? [{ up: now() }] : [];
    this.seen = [];
    this.gaps = [];
    this.connects = [];
  }

  async rename(name) {
    const write = { name, from: this.user, begun: now() };
    this.writes.push(write);
    const error = await new Promise((resolve) => this.socket.timeout(ACK_MS).emit('user:rename', name, (late, refused) => resolve(late ?? refused)));
    if (error === null) {
      write.acked = now();
      this.lastGood = write.begun;
    }
  }
}

export class Load {
  users = [];
  #writes = [];
  #all = [];  // the writes of all rounds, for the names
  #serial = 0;
  #world;
  #working = false;
  #loops = [];

  static async start(world, count = 16) {
    const load = new Load();
    load.#world = world;
    for (let i = 0; i < count; ++i) {
      const name = `user ${i}`;
      const browser = new Browser(world.rest);
      const answer = await browser.register(name);
      if (answer.status !== 200) throw new Error(`could not register ${name}: ${answer.status} ${answer.text}`);
      const socket = io(world.url, {
        transports: [i % 4 === 3 ? 'polling' : 'websocket'], forceNew: true, extraHeaders: { cookie: browser.cookie },
        reconnectionDelay: 200, reconnectionDelayMax: 1000, timeout: 3000,
      });
      load.users.push(new User(name, browser, socket, load.#all));
    }
    await load.connected();
    return load;
  }

  stop() {
    this.#working = false;
    this.users.forEach(({ socket }) => socket.disconnect());
  }

  connected() {
    return until('all sockets to be connected', () => this.users.every(({ socket }) => socket.connected), RECOVER_MS);
  }

  // Works while `fault` runs (it resolves when the fault is over), and until all is well again; then says what came of it:
  // {writes, acked, delivered, gap, told, silent, doubled, wrongNames, recoveredAfter (s), reconnects (most in a second)}.
  async round(fault) {
    await this.connected();
    await sleep(QUIET_MS / 3);
    const begin = this.#all.length;
    this.users.forEach((user) => user.reset());
    this.#working = true;
    this.#loops = this.users.map((user) => this.#work(user));
    await sleep(500);
    const notes = await fault(this);
    const over = now();
    // Well: everybody has written since, and what was written since has reached everybody.
    let recoveredAfter = null;
    try {
      await until('all to be well', () => this.users.every(({ lastGood, socket }) => socket.connected && lastGood > over), RECOVER_MS);
      recoveredAfter = (Math.max(...this.users.map(({ lastGood }) => lastGood)) - over) / 1000;
    } finally {
      this.#working = false;
      await Promise.all(this.#loops);
    }
    await sleep(QUIET_MS);
    const writes = this.#all.slice(begin);
    const wrongNames = await this.#wrongNames();
    return {
      ...account(writes, this.users),
      writes: writes.length,
      acked: writes.filter(({ acked }) => acked !== undefined).length,
      wrongNames,
      recoveredAfter,
      reconnects: mostInASecond(this.users.flatMap(({ connects }) => connects)),
      broken: this.users.filter(({ connects }) => connects.length > 0).length,
      notes,
    };
  }

  async #work(user) {
    while (this.#working) {
      if (user.socket.connected) await user.rename(`${user.user} ${++this.#serial}`);
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  }

  async #wrongNames() {
    const wrong = [];
    for (const user of this.users) {
      let called;
      await until('REST to answer', async () => {
        const { status, json } = await user.browser.get('/verify-session');
        called = json?.user?.userName;
        return status === 200;
      }, RECOVER_MS);
      const problem = nameProblem(user.user, called, this.#all);
      if (problem) wrong.push(problem);
    }
    return wrong;
  }
}
