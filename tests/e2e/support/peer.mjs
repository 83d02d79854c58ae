// One connection of the official client, with what it received in order.
import { io } from 'socket.io-client';

import { Browser } from './http.mjs';
import { until } from './wait.mjs';

let serial = 0;
// A name nobody else has.
export const fresh = (prefix = 'user') => `${prefix} ${process.pid}-${++serial}`;

export class Peer {
  #seen = [];
  disconnected = null;  // the reason, once it has happened

  // Resolves when connected; rejects with the CONNECT_ERROR's message, or when the connection is lost before.
  static open(url, cookie, options = {}) {
    const socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      ...options,
      extraHeaders: { ...(cookie ? { cookie } : {}), ...options.extraHeaders },
    });
    return new Promise((resolve, reject) => {
      const peer = new Peer(socket);
      socket.once('connect', () => resolve(peer));
      socket.once('disconnect', (reason) => reject(new Error(reason)));  // the connection was lost before the answer
      socket.once('connect_error', (error) => {
        socket.disconnect();
        reject(error);
      });
    });
  }

  constructor(socket) {
    this.socket = socket;
    socket.onAny((name, data) => this.#seen.push({ name, data }));
    socket.on('disconnect', (reason) => (this.disconnected = reason));
  }

  // The acknowledgement: [error, data].
  ask(name, argument, timeoutMs = 8000) {
    return new Promise((resolve, reject) => {
      this.socket.timeout(timeoutMs).emit(name, argument, (late, ...answer) => {
        if (late) reject(new Error(`${name} was not acknowledged within ${timeoutMs} ms`));
        else resolve(answer);
      });
    });
  }

  // The data of the next event with this name that fits; everything before it is forgotten.
  async next(name, fits = () => true, timeoutMs = 5000) {
    const found = await until(`an event ${name}`, () => this.#seen.find((e) => e.name === name && fits(e.data)), timeoutMs);
    this.#seen.splice(0, this.#seen.indexOf(found) + 1);
    return found.data;
  }

  // All events that came since the last look.
  take() {
    return this.#seen.splice(0);
  }

  gone(timeoutMs = 5000) {
    return until('a disconnect', () => this.disconnected, timeoutMs);
  }

  close() {
    this.socket.disconnect();
  }

  // Loses the connection as a broken network does, without a goodbye.
  drop() {
    this.socket.io.engine.close();
  }
}

// A registered user with one announced connection on the replica of this index.
export async function join(system, { name = fresh(), replica = 0 } = {}) {
  const browser = new Browser(system.rest);
  const answer = await browser.register(name);
  if (answer.status !== 200) throw new Error(`could not register ${name}: ${answer.status} ${answer.text}`);
  const peer = await announce(system, browser, name, replica);
  return { name, browser, peer };
}

// One more announced connection of a session.
export async function announce(system, browser, name, replica = 0) {
  const peer = await Peer.open(system.realtime[replica], browser.cookie);
  const [error, users] = await peer.ask('user:connected', name);
  if (error !== null) throw new Error(`user:connected: ${error}`);
  peer.users = users;
  return peer;
}

// Waits until `peer` has everything that was sent before now: a rename of `by` goes through the same order.
// Returns the events that came before it.
export async function fence(peer, by) {
  const mark = fresh('fence');
  const old = by.name;
  const [error] = await by.peer.ask('user:rename', mark);
  if (error !== null) throw new Error(`the fence could not be set: ${error}`);
  by.name = mark;
  const before = [];
  await until('the fence', () => {
    before.push(...peer.take());
    return before.some((e) => e.name === 'user:renamed' && e.data.oldUserName === old);
  });
  return before.slice(0, before.findIndex((e) => e.name === 'user:renamed' && e.data.oldUserName === old));
}
