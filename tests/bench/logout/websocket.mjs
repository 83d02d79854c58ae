// One Socket.IO client on a bare TCP connection: joins "/", answers pings, and notes when the connection closed. As little
// work as can be, so that thousands of them do not slow down what they measure.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

// A client's frame: short, masked by zeros.
const frame = (text) => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
const PING_END = '2'.charCodeAt(0);
const PONG = frame('3');
const CONNECT = frame('40');

export class WebSocketClient {
  closedAt = null;  // performance.now() when the server ended the socket
  #tcp;

  // Resolves when the namespace is joined.
  static join(url, cookie) {
    return new Promise((resolve, reject) => {
      const client = new WebSocketClient();
      const { hostname, port } = new URL(url);
      // Half open: our own end of the connection is closed later, by close(), so as not to cost time that is measured.
      client.#tcp = connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () => {
        client.#tcp.write(
          `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
            `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
            `Cookie: ${cookie}\r\n\r\n`,
        );
      });
      client.#tcp.setNoDelay(true);
      let joined = false;
      client.#tcp.on('data', (bytes) => {
        if (joined && bytes.at(-1) !== PING_END) return;  // of events nothing is wanted
        const text = bytes.latin1Slice();
        if (text.includes('0{"sid"') && !text.includes('40{"sid"')) client.#tcp.write(CONNECT);
        if (text.includes('40{"sid"')) {
          joined = true;
          resolve(client);
        }
        if (text.includes('44{')) reject(new Error('the server refused the session'));
        if (text.endsWith('\x81\x012')) client.#tcp.write(PONG);
      });
      const ended = () => {
        client.closedAt ??= performance.now();
        if (!joined) reject(new Error('the connection was closed'));
      };
      client.#tcp.on('end', ended);
      client.#tcp.on('error', ended);
      client.#tcp.on('close', ended);
    });
  }

  close() {
    this.#tcp.destroy();
  }
}
