// Which TCP ports to use. REST must be told the realtime addresses and realtime the page's origin, so both are chosen
// before either starts.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 10_240;

export function isFree(port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

// `count` free ports below the range from which the kernel takes ports for outgoing connections, so that none of those
// can take one of them before its server does. Another chooser still can: then the start is tried again.
export async function freePorts(count) {
  const ephemeral = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
  const above = Math.max(ephemeral, LOWEST + 10_000);
  const ports = new Set();
  while (ports.size < count) {
    const port = LOWEST + Math.floor(Math.random() * (above - LOWEST));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}
