// Proxy: a TCP proxy between two parts of the system, whose connections can be spoiled in every way a network has. With
// several targets each connection goes to the next one that takes it, as behind a balancer.
// Bounds: what one side has not taken is not read from the other.
import { connect, createServer } from 'node:net';

// Node leaks the handle of a socket that is reset while its end is under way.
const reset = (socket) => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy());

export class Proxy {
  port;
  targets;  // ports; may be changed at any time
  // How it is now: `ms` holds back every piece; `dark` takes nothing and gives nothing, without an end; `stalled` does so
  // only towards the client; `budget` is how many more bytes a connection carries before it is cut.
  #mode = {};
  #next = 0;
  #server;
  #pairs = new Set();

  static async start(port, targets) {
    const proxy = new Proxy();
    proxy.port = port;
    proxy.targets = targets;
    await proxy.#listen();
    return proxy;
  }

  // Every connection gets a reset.
  cut() {
    for (const pair of [...this.#pairs]) pair.end();
  }

  // New connections are refused, and those that stand are cut.
  async refuse() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async accept() {
    if (!this.#server.listening) await this.#listen();
  }

  delay(ms) {
    this.#mode = { ms };
  }

  // Nothing passes, and nobody is told: connections stand, and new ones are taken.
  blackHole() {
    this.#set({ dark: true });
  }

  // What the target says does not arrive.
  stall() {
    this.#set({ stalled: true });
  }

  cutAfter(bytes) {
    this.#mode = { budget: bytes };
    for (const pair of this.#pairs) pair.left = bytes;
  }

  // As at first. What was swallowed cannot be put back: those connections are cut, as TCP does in the end.
  heal() {
    const spoiled = this.#mode.dark || this.#mode.stalled;
    this.#mode = {};
    for (const pair of this.#pairs) pair.left = Infinity;
    if (spoiled) this.cut();
  }

  async stop() {
    this.cut();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  #set(mode) {
    this.#mode = mode;
  }

  #listen() {
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => this.#take(client));
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port: this.port, host: '127.0.0.1', exclusive: true }, resolve);
    });
  }

  async #take(client) {
    client.on('error', () => {});
    client.setNoDelay(true);
    const target = await this.#connect();
    if (target === null || client.destroyed) {
      target?.destroy();
      return reset(client);
    }
    const pair = {
      left: this.#mode.budget ?? Infinity,
      end: () => {
        this.#pairs.delete(pair);
        reset(client);
        reset(target);
      },
    };
    this.#pairs.add(pair);
    this.#carry(pair, client, target, false);
    this.#carry(pair, target, client, true);
  }

  async #connect() {
    for (let tries = this.targets.length; tries > 0; --tries) {
      const port = this.targets[this.#next++ % this.targets.length];
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const connected = await new Promise((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (connected) {
        socket.on('error', () => {});
        return socket;
      }
    }
    return null;
  }

  #carry(pair, from, to, towardsClient) {
    // In the order they came, also when the delay gets shorter meanwhile.
    const queue = [];
    const pump = () => {
      while (queue.length > 0 && queue[0].due <= performance.now()) queue.shift().task();
      if (queue.length > 0) setTimeout(pump, Math.ceil(queue[0].due - performance.now()));
    };
    const inTurn = (task) => {
      if (queue.length === 0 && !this.#mode.ms) return task();
      queue.push({ due: Math.max(performance.now() + (this.#mode.ms ?? 0), queue.at(-1)?.due ?? 0), task });
      if (queue.length === 1) pump();
    };
    from.on('data', (piece) => {
      const { dark, stalled } = this.#mode;
      if (dark || (stalled && towardsClient)) return;
      if (pair.left !== Infinity && (pair.left -= piece.length) <= 0) return pair.end();
      inTurn(() => {
        if (to.destroyed || to.write(piece)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    });
    from.resume();
    from.on('end', () => inTurn(() => to.end()));
    from.on('close', () => inTurn(() => {
      this.#pairs.delete(pair);
      to.destroySoon();
    }));
  }
}
