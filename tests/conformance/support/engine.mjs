// Engine.IO spoken by hand: single HTTP requests, and WebSockets that keep all they receive.
import { once } from 'node:events';
import http from 'node:http';

import { WebSocket } from 'ws';

// Nothing here may hang a test run: what does not come within this time fails the test.
const PATIENCE_MS = 3000;

export async function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} did not come`)), ms)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// One request on a connection of its own, or of `agent`. `answer` resolves with {status, headers, body} and fails when
// the connection is cut; abort() cuts it.
export function request(url, { method = 'GET', headers = {}, body, agent = false } = {}) {
  const sent = http.request(url, { method, headers, agent });
  const answer = within(
    new Promise((resolve, reject) => {
      sent.on('error', reject);
      sent.on('response', async (response) => {
        const parts = [];
        response.on('error', reject);
        response.on('data', (part) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }),
        );
      });
    }),
    `the answer to ${method}`,
  );
  answer.catch(() => {}); // whoever awaits it sees the failure
  sent.end(body);
  return { answer, abort: () => sent.destroy(), socket: () => within(once(sent, 'socket'), 'a socket') };
}
export const get = (url, options) => request(url, options).answer;
export const post = (url, body, headers = { 'content-type': 'text/plain;charset=UTF-8' }) =>
  request(url, { method: 'POST', body, headers }).answer;

// A long-polling session that was just opened.
export class Polling {
  static async open(base, query = 'EIO=4&transport=polling') {
    const { status, body } = await get(`${base}?${query}`);
    if (status !== 200 || body[0] !== '0') throw new Error(`no session: ${status} ${body}`);
    return new Polling(base, JSON.parse(body.slice(1)));
  }
  constructor(base, handshake) {
    this.base = base;
    this.handshake = handshake;
    this.sid = handshake.sid;
    this.url = `${base}?EIO=4&transport=polling&sid=${handshake.sid}`;
    this.webSocketUrl = `${base}?EIO=4&transport=websocket&sid=${handshake.sid}`.replace('http', 'ws');
  }
  // A GET that will wait; see request().
  startPoll(options) {
    return request(this.url, options);
  }
  // The packets of one GET.
  async poll() {
    const { status, body } = await get(this.url);
    if (status !== 200) throw Object.assign(new Error(`poll: ${status} ${body}`), { status });
    return body.split('\x1e');
  }
  post(body, headers) {
    return post(this.url, body, headers);
  }
  // Polls until a packet other than a ping is there.
  async message() {
    for (;;) {
      const packets = (await this.poll()).filter((packet) => packet !== '2');
      if (packets.length > 0) return packets;
    }
  }
  // Is the session still there? (POST a pong, which changes nothing that a test looks at.)
  async alive() {
    return (await this.post('3')).status === 200;
  }
  // Waits until the session is gone; the code of the error then given.
  async gone() {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const answer = await post(this.url, '3');
      if (answer.status !== 200) return JSON.parse(answer.body || '{}').code;
      if (Date.now() > deadline) throw new Error('the session is still there');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

// A WebSocket. Messages come as strings or Buffers, in order, by next().
export class Socket {
  // Resolves when it is open; fails with {status, body, headers} when the upgrade is refused.
  static async open(url, options) {
    const socket = new Socket(url.replace(/^http/, 'ws'), options);
    await within(socket.opened, 'the WebSocket');
    return socket;
  }
  constructor(url, options = {}) {
    this.ws = new WebSocket(url, { perMessageDeflate: false, ...options });
    this.messages = [];
    this.waiting = [];
    this.opened = new Promise((resolve, reject) => {
      this.ws.on('open', resolve);
      this.ws.on('error', reject);
      this.ws.on('unexpected-response', async (_, response) => {
        const parts = [];
        for await (const part of response) parts.push(part);
        const body = Buffer.concat(parts).toString();
        reject(Object.assign(new Error(`refused: ${response.statusCode} ${body}`), { status: response.statusCode, body, headers: response.headers }));
      });
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.ws.on('error', () => {});
    this.ws.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      if (message === '2') {
        if (this.answersPings) this.ws.send('3');
        if (!this.showsPings) return;
      }
      if (this.waiting.length > 0) this.waiting.shift()(message);
      else this.messages.push(message);
    });
    this.answersPings = true;
    this.showsPings = false;
  }
  send(...messages) {
    for (const message of messages) this.ws.send(message);
  }
  // The next message that is no ping; fails when the connection closes first.
  next(what = 'a message') {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    const message = new Promise((resolve) => this.waiting.push(resolve));
    const end = this.closed.then(({ code }) => Promise.reject(new Error(`closed (${code}) before ${what}`)));
    end.catch(() => {});
    return within(Promise.race([message, end]), what);
  }
  // The close code, once the server has closed; messages on the way are dropped.
  async closeCode() {
    return (await within(this.closed, 'the close')).code;
  }
  close() {
    this.ws.terminate();
  }
}

// All bytes that the server sends before it closes the connection, for requests no client library makes.
export async function raw(base, bytes) {
  const { hostname, port } = new URL(base);
  const { connect } = await import('node:net');
  const socket = connect(Number(port), hostname);
  const parts = [];
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => {});
  socket.write(bytes);
  await within(once(socket, 'close'), 'the end of the connection');
  return Buffer.concat(parts).toString('latin1');
}
