// What "ready" means for the things that are started: conditions to poll, never sleeps. None of them throws.
import { get } from 'node:http';
import { connect } from 'node:net';

const PROBE_TIMEOUT_MS = 1000;

// True when GET url answers 200.
export function httpReady(url) {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: PROBE_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

// True when a Redis server answers PING; false while it still loads its data.
export function redisReady(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PROBE_TIMEOUT_MS }, () => socket.write('PING\r\n'));
    const end = (ready) => {
      socket.destroy();
      resolve(ready);
    };
    socket.on('data', (data) => end(data.toString().startsWith('+PONG')));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => resolve(false));
  });
}
