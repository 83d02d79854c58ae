// One HTTP/1.1 request whose header lines go out as they are given, byte for byte, where an HTTP client would join, check
// or tidy them up.
import { connect } from 'node:net';

const TIMEOUT_MS = 10_000;

// lines: bytes as latin1. Resolves with {status, headers: [[name, value]…], setCookie, text, json}.
export function raw(url, method, path, lines = [], body = '') {
  const { hostname, port } = new URL(url);
  const head = [`${method} ${path} HTTP/1.1`, `Host: ${hostname}:${port}`, 'Connection: close', ...lines];
  if (body !== '') head.push(`Content-Length: ${Buffer.byteLength(body)}`, 'Content-Type: application/json');
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'));
      socket.write(body);
    });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer to ${method} ${path} within ${TIMEOUT_MS} ms`)));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      const all = Buffer.concat(chunks).toString('latin1');
      const split = all.indexOf('\r\n\r\n');
      if (split < 0) return reject(new Error(`no HTTP answer to ${method} ${path}: "${all}"`));
      const [status, ...fields] = all.slice(0, split).split('\r\n');
      const headers = fields.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]);
      const text = Buffer.from(all.slice(split + 4), 'latin1').toString();
      let json;
      try {
        json = JSON.parse(text);
      } catch {
        // No JSON; tests look at `text` then.
      }
      const setCookie = headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
      resolve({ status: Number(status.split(' ')[1]), headers, setCookie, text, json });
    });
  });
}

// What a realtime replica says to a socket that brings these header lines: 'in', or the message of its CONNECT_ERROR.
export async function socketVerdict(url, lines) {
  const path = '/socket.io/?EIO=4&transport=polling';
  const opened = await raw(url, 'GET', path, lines);
  if (opened.status !== 200) return `status ${opened.status}`;
  const session = `${path}&sid=${encodeURIComponent(JSON.parse(opened.text.slice(1)).sid)}`;
  await raw(url, 'POST', session, [], '40');
  const answer = (await raw(url, 'GET', session)).text;
  await raw(url, 'POST', session, [], '1');
  return answer.startsWith('40') ? 'in' : JSON.parse(answer.slice(2)).message;
}
