// A balancer that keeps nobody where he was: every HTTP request goes to the next replica, over connections of its own
// that it keeps and shares; an upgrade becomes a pipe. A replica that is not there is passed over.
import http from 'node:http';
import { connect } from 'node:net';

export class Balancer {
  // How many requests went to each replica.
  counts;
  #targets;
  #next = 0;
  #server;
  #agent = new http.Agent({ keepAlive: true });
  #pipes = new Set();

  static async start(urls) {
    const balancer = new Balancer();
    balancer.#targets = urls.map((url) => new URL(url));
    balancer.counts = urls.map(() => 0);
    balancer.#server = http.createServer((req, res) => balancer.#forward(req, res));
    balancer.#server.on('upgrade', (req, socket, head) => balancer.#pipe(req, socket, head));
    await new Promise((resolve) => balancer.#server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    for (const socket of this.#pipes) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
  }

  #choose() {
    const index = this.#next++ % this.#targets.length;
    ++this.counts[index];
    return this.#targets[index];
  }

  #forward(req, res, tries = this.#targets.length, body = []) {
    const { hostname, port } = this.#choose();
    const out = http.request({ hostname, port, method: req.method, path: req.url, headers: req.headers, agent: this.#agent });
    const first = tries === this.#targets.length;
    if (first) req.on('data', (chunk) => body.push(chunk));
    out.on('response', (answer) => {
      res.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(res);
    });
    out.on('error', (error) => {
      if (error.code === 'ECONNREFUSED' && tries > 1) this.#forward(req, res, tries - 1, body);
      else res.destroy();
    });
    // The client has gone away: so has its request.
    res.on('close', () => res.writableFinished || out.destroy());
    if (first) req.pipe(out);
    else out.end(Buffer.concat(body));
  }

  #pipe(req, socket, head, tries = this.#targets.length) {
    const { hostname, port } = this.#choose();
    const out = connect(port, hostname);
    out.on('connect', () => {
      let text = `${req.method} ${req.url} HTTP/1.1\r\n`;
      for (let i = 0; i < req.rawHeaders.length; i += 2) text += `${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\r\n`;
      out.write(`${text}\r\n`);
      out.write(head);
      socket.pipe(out).pipe(socket);
      tries = 0;
    });
    const end = () => {
      this.#pipes.delete(socket);
      socket.destroy();
      out.destroy();
    };
    out.on('error', (error) => {
      if (error.code === 'ECONNREFUSED' && tries > 1) this.#pipe(req, socket, head, tries - 1);
      else end();
    });
    this.#pipes.add(socket);
    socket.on('error', end);
    socket.on('close', end);
    out.on('close', () => tries === 0 && end());
  }
}
