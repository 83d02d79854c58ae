// Engine.IO 4: one case for each rule a client can notice. The application echoes every message.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { get, Polling, post, raw, request, Socket, within } from './support/engine.mjs';
import { isReference, Target } from './support/target.mjs';

const MAX_PAYLOAD = 1_000_000;

let target;
let base;
before(async () => {
  target = await Target.start();
  base = target.engineio;
});
after(() => target?.stop());

const openSocket = async () => {
  const socket = await Socket.open(`${base}?EIO=4&transport=websocket`);
  socket.handshake = JSON.parse((await socket.next('the open packet')).slice(1));
  return socket;
};
// A polling session with a WebSocket that has been probed.
const probe = async (session) => {
  const socket = await Socket.open(session.webSocketUrl);
  socket.send('2probe');
  assert.equal(await socket.next('the probe'), '3probe');
  return socket;
};
const upgrade = async (session) => {
  const socket = await probe(session);
  socket.send('5');
  return socket;
};

describe('handshake', () => {
  test('answers a poll with an open packet, keys in order', async () => {
    const { status, headers, body } = await get(`${base}?EIO=4&transport=polling`);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(body, /^0\{"sid":"[\w.-]{20,}","upgrades":\["websocket"\],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000\}$/);
  });

  test('answers a WebSocket with an open packet that offers no upgrade', async () => {
    const socket = await Socket.open(`${base}?EIO=4&transport=websocket`);
    assert.match(await socket.next(), /^0\{"sid":"[\w.-]{20,}","upgrades":\[\],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000\}$/);
    socket.close();
  });

  test('gives every session an id of its own', async () => {
    const ids = new Set();
    for (let i = 0; i < 20; ++i) ids.add((await Polling.open(base)).sid);
    assert.equal(ids.size, 20);
  });

  const refusals = [
    ['GET', '', 0, 'Transport unknown'],
    ['GET', 'EIO=4', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=abc', 0, 'Transport unknown'],
    ['GET', 'EIO=4&transport=', 0, 'Transport unknown'],
    ['GET', 'transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=3&transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=abc&transport=polling', 5, 'Unsupported protocol version'],
    ['GET', 'EIO=4&transport=polling&sid=abc', 1, 'Session ID unknown'],
    ['POST', 'EIO=4&transport=polling&sid=abc', 1, 'Session ID unknown'],
    ['POST', 'EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['PUT', 'EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['GET', 'EIO=4&transport=websocket', 3, 'Bad request'],
    // Several faults at once: the order in which they are looked for.
    ['POST', 'EIO=3&transport=abc&sid=abc', 0, 'Transport unknown'],
    ['GET', 'EIO=3&transport=websocket&sid=abc', 1, 'Session ID unknown'],
    ['POST', 'EIO=3&transport=polling', 2, 'Bad handshake method'],
    ['GET', 'EIO=3&transport=websocket', 3, 'Bad request'],
  ];
  for (const [method, query, code, message] of refusals) {
    test(`refuses ${method} ?${query} with code ${code}`, async () => {
      const { status, headers, body } = await request(`${base}?${query}`, { method }).answer;
      assert.equal(status, 400);
      assert.equal(headers['content-type'], 'application/json');
      assert.equal(body, `{"code":${code},"message":"${message}"}`);
    });
  }

  test('refuses a page of elsewhere, with code 4: 403 by long-polling, 400 by WebSocket', async () => {
    const headers = { origin: 'http://elsewhere.example' };
    const { status, body } = await get(`${base}?EIO=4&transport=polling`, { headers });
    assert.deepEqual([status, body], [403, '{"code":4,"message":"Forbidden"}']);
    await assert.rejects(Socket.open(`${base}?EIO=4&transport=websocket`, { headers }), { status: 400, body: 'Forbidden' });
    // The version is looked at after it.
    assert.equal(JSON.parse((await get(`${base}?EIO=3&transport=polling`, { headers })).body).code, 4);
  });

  test('refuses a request for the WebSocket of a polling session with code 3', async () => {
    const session = await Polling.open(base);
    const { status, body } = await get(session.url.replace('polling', 'websocket'));
    assert.equal(status, 400);
    assert.equal(JSON.parse(body).code, 3);
    assert.ok(await session.alive());
  });

  const refusedUpgrades = [
    ['transport=abc&EIO=4', 'Transport unknown'],
    ['EIO=4&transport=websocket&sid=abc', 'Session ID unknown'],
    // The reference upgrades first and then sends the refusal into the WebSocket.
    ...(isReference ? [] : [['EIO=3&transport=websocket', 'Unsupported protocol version']]),
  ];
  for (const [query, message] of refusedUpgrades) {
    test(`refuses the upgrade ?${query} with 400, the message only, and closes`, async () => {
      const { pathname, host } = new URL(base);
      const answer = await raw(
        base,
        `GET ${pathname}?${query} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.match(answer, /\r\nContent-Type: text\/html/i);
      assert.match(answer, /\r\nConnection: close\r\n/i);
      assert.ok(answer.endsWith(`\r\n\r\n${message}`), answer);
    });
  }

  test('does not open a polling session by an upgrade', async () => {
    const socket = new Socket(`${base}?EIO=4&transport=polling`);
    const refused = socket.opened.then(() => socket.closed, () => {});
    await within(refused, 'the refusal');
    assert.equal(socket.messages.length, 0);
  });
});

describe('long-polling', () => {
  test('echoes text, with the headers of the reference', async () => {
    const session = await Polling.open(base);
    const answer = await session.post('4hello');
    assert.equal(answer.status, 200);
    assert.equal(answer.body, 'ok');
    assert.equal(answer.headers['content-length'], '2');
    assert.equal(answer.headers['content-type'], 'text/html');
    const poll = await get(session.url);
    assert.equal(poll.headers['content-type'], 'text/plain; charset=UTF-8');
    assert.equal(poll.headers['cache-control'], 'no-store');
    assert.equal(poll.body, '4hello');
  });

  test('joins all that is queued, without a separator at the end', async () => {
    const session = await Polling.open(base);
    await session.post('4a\x1e4b');
    await session.post('4\u20ac');
    assert.equal((await get(session.url)).body, '4a\x1e4b\x1e4\u20ac');
  });

  test('carries binary as base64 with padding, without a type digit', async () => {
    const session = await Polling.open(base);
    await session.post('bAQIDBA==\x1e4text\x1eb');
    assert.equal((await get(session.url)).body, 'bAQIDBA==\x1e4text\x1eb');
  });

  // Ours has bounds, on what may wait for a client and on what one poll takes; the reference has none.
  test('gives all that is queued, however many, and in order', async () => {
    const session = await Polling.open(base);
    const many = Array.from({ length: 200 }, (_, i) => `4${i}${'a'.repeat(1000)}`);
    for (let i = 0; i < many.length; i += 20) await session.post(many.slice(i, i + 20).join('\x1e'));
    const got = [];
    while (got.length < many.length) got.push(...(await get(session.url)).body.split('\x1e'));
    assert.deepEqual(got, many);
  });

  test('keeps the connection', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const session = await Polling.open(base);
    for (let i = 0; i < 3; ++i) {
      await request(session.url, { method: 'POST', body: `4${i}`, agent }).answer;
      const { headers, body } = await request(session.url, { agent }).answer;
      assert.notEqual(headers.connection, 'close');
      assert.equal(body, `4${i}`);
    }
    assert.equal(agent.totalSocketCount, 1);
    agent.destroy();
  });

  test('answers a waiting GET as soon as there is something', async () => {
    const session = await Polling.open(base);
    const poll = session.startPoll();
    await poll.socket();
    await session.post('4now');
    assert.equal((await poll.answer).body, '4now');
  });

  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    test(`answers ${method} with an id by an empty 500`, async () => {
      const session = await Polling.open(base);
      const { status, body } = await request(session.url, { method }).answer;
      assert.deepEqual([status, body], [500, '']);
      assert.ok(await session.alive());
    });
  }

  test('closes the session on a POST of octets', async () => {
    const session = await Polling.open(base);
    const { status, body } = await session.post('4a', { 'content-type': 'application/octet-stream' });
    assert.deepEqual([status, body], [400, '']);
    assert.equal(await session.gone(), 1);
  });

  test('takes a body of exactly maxPayload, and answers 413 above it without closing', async () => {
    const session = await Polling.open(base);
    assert.equal((await session.post(`4${'a'.repeat(MAX_PAYLOAD - 1)}`)).status, 200);
    assert.equal((await get(session.url)).body.length, MAX_PAYLOAD);
    const { status, body } = await session.post(`4${'a'.repeat(MAX_PAYLOAD)}`);
    assert.deepEqual([status, body], [413, '']);
    await session.post('4still here');
    assert.deepEqual(await session.message(), ['4still here']);
  });

  test('answers 413 also when the length is not announced', async () => {
    const session = await Polling.open(base);
    const sent = http.request(session.url, { method: 'POST', agent: false, headers: { 'transfer-encoding': 'chunked' } });
    sent.on('error', () => {});
    const status = new Promise((resolve) => sent.on('response', (response) => resolve(response.resume().statusCode)));
    for (let i = 0; i < 21; ++i) sent.write('4'.repeat(50_000));
    sent.end();
    assert.equal(await within(status, '413'), 413);
    assert.ok(await session.alive());
  });

  test('takes a chunked body', async () => {
    const session = await Polling.open(base);
    const sent = http.request(session.url, { method: 'POST', agent: false, headers: { 'transfer-encoding': 'chunked' } });
    const status = new Promise((resolve) => sent.on('response', (response) => resolve(response.resume().statusCode)));
    sent.write('4chun');
    sent.end('ked');
    assert.equal(await within(status, '200'), 200);
    assert.deepEqual(await session.message(), ['4chunked']);
  });

  test('refuses a second GET at the same time; the first gets "1", the session is gone', async () => {
    const session = await Polling.open(base);
    const first = session.startPoll();
    await first.socket();
    await sleep(20); // it has to arrive first
    const second = await get(session.url);
    assert.ok(second.status === 400 || second.status === 500, String(second.status));
    assert.equal(second.body, '');
    assert.equal((await first.answer).body, '1');
    assert.equal(await session.gone(), 1);
  });

  test('refuses a second POST at the same time; the session is gone', async () => {
    const session = await Polling.open(base);
    const first = http.request(session.url, { method: 'POST', agent: false, headers: { 'content-length': 10 } });
    first.on('error', () => {});
    first.write('4ab');
    await sleep(50);
    const { status } = await session.post('4b');
    assert.ok(status === 400 || status === 500, String(status));
    assert.equal(await session.gone(), 1);
    first.destroy();
  });

  test('ends with a GET that its client gives up', async () => {
    const session = await Polling.open(base);
    const poll = session.startPoll();
    await poll.socket();
    await sleep(20);
    poll.abort();
    await sleep(5);
    assert.equal((await get(session.url)).status, 400);
  });

  test('ends with a POST that its client gives up', async () => {
    const session = await Polling.open(base);
    const sent = http.request(session.url, { method: 'POST', agent: false, headers: { 'content-length': 10 } });
    sent.on('error', () => {});
    sent.write('4ab');
    await sleep(50);
    sent.destroy();
    assert.equal(await session.gone(), 1);
  });

  for (const [what, body] of [['no packet', 'abc'], ['nothing', ''], ['a ping', '2'], ['an empty packet', '4a\x1e'], ['an unknown type', '7']]) {
    test(`closes the session on a POST of ${what}`, async () => {
      const session = await Polling.open(base);
      const { status } = await session.post(body);
      assert.ok(status === 200 || status === 400, String(status));
      assert.equal(await session.gone(), 1);
    });
  }

  test('tolerates packets that mean nothing here', async () => {
    const session = await Polling.open(base);
    await session.post('6\x1e3\x1e5\x1e0{}\x1e4after');
    assert.deepEqual(await session.message(), ['4after']);
  });

  test('a close packet ends the waiting GET with "6" and the session', async () => {
    const session = await Polling.open(base);
    const poll = session.startPoll();
    await poll.socket();
    await sleep(20);
    assert.equal((await session.post('1')).body, 'ok');
    assert.equal((await poll.answer).body, '6');
    assert.equal(await session.gone(), 1);
  });
});

describe('WebSocket', () => {
  test('echoes text and binary, several in one go', async () => {
    const socket = await openSocket();
    socket.send('4hello', Buffer.from([1, 2, 3]), '4\u20ac');
    assert.equal(await socket.next(), '4hello');
    assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3]));
    assert.equal(await socket.next(), '4\u20ac');
    socket.close();
  });

  test('takes base64 in a text frame for binary', async () => {
    const socket = await openSocket();
    socket.send('bAQID');
    assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3]));
    socket.close();
  });

  test('takes a message of exactly maxPayload and closes with 1009 above it', async () => {
    const socket = await openSocket();
    socket.send(`4${'a'.repeat(MAX_PAYLOAD - 1)}`);
    assert.equal((await socket.next()).length, MAX_PAYLOAD);
    socket.send(`4${'a'.repeat(MAX_PAYLOAD)}`);
    assert.equal(await socket.closeCode(), 1009);
  });

  for (const packet of ['abc', '', '2', '7', '2probe']) {
    test(`closes on ${JSON.stringify(packet)}`, async () => {
      const socket = await openSocket();
      socket.send(packet);
      assert.equal(await socket.closeCode(), 1005);
    });
  }

  test('tolerates packets that mean nothing here', async () => {
    const socket = await openSocket();
    socket.send('6', '3', '5', '0{}', '4after');
    assert.equal(await socket.next(), '4after');
    socket.close();
  });

  // The reference leaves the session to its heartbeat.
  test('closes on a close packet', { skip: isReference }, async () => {
    const socket = await openSocket();
    socket.send('1');
    assert.equal(await socket.closeCode(), 1005);
  });

  test('answers pings of the WebSocket itself', async () => {
    const socket = await openSocket();
    const pong = new Promise((resolve) => socket.ws.on('pong', resolve));
    socket.ws.ping('abc');
    assert.equal((await within(pong, 'a pong')).toString(), 'abc');
    socket.close();
  });

  test('echoes the close code of the client', async () => {
    const socket = await openSocket();
    socket.ws.close(4321, 'why');
    assert.equal(await socket.closeCode(), 4321);
  });

  test('leaves no session behind', async () => {
    const socket = await openSocket();
    socket.close();
    await sleep(50);
    const { body } = await get(`${base}?EIO=4&transport=polling&sid=${socket.handshake.sid}`);
    assert.equal(JSON.parse(body).code, 1);
  });
});

describe('heartbeat', () => {
  const PING_INTERVAL = 300;
  const PING_TIMEOUT = 200;

  test('pings long-polling sessions and closes those that do not answer', async () => {
    const session = await Polling.open(base);
    for (let i = 0; i < 3; ++i) {
      assert.deepEqual(await session.poll(), ['2']);
      assert.equal((await session.post('3')).status, 200);
    }
    assert.deepEqual(await session.poll(), ['2']);
    await sleep(PING_TIMEOUT + 60);
    const { status, body } = await get(session.url);
    assert.deepEqual([status, body], [400, '{"code":1,"message":"Session ID unknown"}']);
  });

  test('leaves an interval between a pong and the next ping', async () => {
    const socket = await openSocket();
    socket.showsPings = true;
    socket.answersPings = false;
    await socket.next('a ping');
    await sleep(PING_TIMEOUT / 2);
    const from = Date.now();
    socket.send('3');
    await socket.next('a ping');
    assert.ok(Date.now() - from >= PING_INTERVAL - 20);
    socket.close();
  });

  test('pings WebSockets and closes those that do not answer', async () => {
    const socket = await openSocket();
    socket.showsPings = true;
    for (let i = 0; i < 3; ++i) assert.equal(await socket.next('a ping'), '2');
    socket.answersPings = false;
    assert.equal(await socket.next('a ping'), '2');
    const from = Date.now();
    assert.equal(await socket.closeCode(), 1005);
    assert.ok(Date.now() - from > PING_TIMEOUT - 50);
  });

  test('is not reset by other traffic', async () => {
    const socket = await openSocket();
    socket.answersPings = false;
    const from = Date.now();
    const timer = setInterval(() => socket.send('4busy'), 50);
    await socket.closeCode();
    clearInterval(timer);
    const lasted = Date.now() - from;
    assert.ok(lasted > PING_INTERVAL && lasted < 2 * (PING_INTERVAL + PING_TIMEOUT), `${lasted} ms`);
  });

  test('the interval starts anew with a pong nobody asked for', async () => {
    const socket = await openSocket();
    socket.showsPings = true;
    await sleep(PING_INTERVAL / 2);
    const from = Date.now();
    socket.send('3');
    await socket.next('a ping');
    assert.ok(Date.now() - from >= PING_INTERVAL - 20);
    socket.close();
  });
});

describe('upgrade', () => {
  test('goes from long-polling to the WebSocket', async () => {
    const session = await Polling.open(base);
    const socket = await upgrade(session);
    socket.send('4hello');
    assert.equal(await socket.next(), '4hello');
    socket.close();
  });

  test('ends a waiting GET, and each that follows, with a noop', async () => {
    const session = await Polling.open(base);
    const waiting = session.startPoll();
    await waiting.socket();
    await sleep(20);
    const socket = await probe(session);
    assert.equal((await waiting.answer).body, '6');
    assert.deepEqual(await session.message(), ['6']);
    assert.deepEqual(await session.message(), ['6']);
    socket.send('5', '4done');
    assert.equal(await socket.next(), '4done');
    socket.close();
  });

  test('sends nothing by the WebSocket before "5", and loses nothing', async () => {
    const session = await Polling.open(base);
    const socket = await probe(session);
    await session.post('4first');
    await session.post('4second');
    socket.send('5', '4third');
    assert.equal(await socket.next(), '4first');
    assert.equal(await socket.next(), '4second');
    assert.equal(await socket.next(), '4third');
    socket.close();
  });

  test('lets a GET take what is queued while it is under way', async () => {
    const session = await Polling.open(base);
    const socket = await probe(session);
    await session.post('4by poll');
    assert.deepEqual((await session.message()).filter((packet) => packet !== '6'), ['4by poll']);
    socket.send('5', '4by socket');
    assert.equal(await socket.next(), '4by socket');
    socket.close();
  });

  test('needs no probe', async () => {
    const session = await Polling.open(base);
    const socket = await Socket.open(session.webSocketUrl);
    socket.send('5', '4hello');
    assert.equal(await socket.next(), '4hello');
    socket.close();
  });

  test('closes only the WebSocket when something else comes first', async () => {
    const session = await Polling.open(base);
    const socket = await Socket.open(session.webSocketUrl);
    socket.send('4hello');
    await socket.closeCode();
    await session.post('4still polling');
    assert.deepEqual(await session.message(), ['4still polling']);
  });

  test('closes a second WebSocket while it is under way, and goes on', async () => {
    const session = await Polling.open(base);
    const socket = await probe(session);
    const second = new Socket(session.webSocketUrl);
    await within(second.closed, 'the close of the second');
    socket.send('5', '4first');
    assert.equal(await socket.next(), '4first');
    socket.close();
  });

  test('closes a second WebSocket afterwards, and goes on', async () => {
    const session = await Polling.open(base);
    const socket = await upgrade(session);
    const second = new Socket(session.webSocketUrl);
    await within(second.closed, 'the close of the second');
    socket.send('4first');
    assert.equal(await socket.next(), '4first');
    socket.close();
  });

  test('answers polls afterwards with code 3', async () => {
    const session = await Polling.open(base);
    const socket = await upgrade(session);
    socket.send('4done');
    await socket.next();
    for (const answer of [await get(session.url), await session.post('4a')]) {
      assert.equal(answer.status, 400);
      assert.equal(JSON.parse(answer.body).code, 3);
    }
    socket.close();
  });

  test('in the middle of a ping forgives the pong that is missing', async () => {
    const session = await Polling.open(base);
    assert.deepEqual(await session.poll(), ['2']);
    const socket = await upgrade(session);
    await sleep(450); // longer than the pong might have taken
    socket.send('4still here');
    assert.equal(await socket.next(), '4still here');
    socket.close();
  });

  test('gives up an upgrade that takes too long, and goes on polling', async () => {
    const session = await Polling.open(base);
    const socket = await probe(session);
    socket.answersPings = false;
    let closed = false;
    const end = socket.closed.then(() => (closed = true));
    while (!closed) {
      const packets = await session.poll();
      if (packets.includes('2')) await session.post('3');
      if (packets.includes('6')) await sleep(20);
    }
    await end;
    await session.post('4still polling');
    assert.ok((await session.message()).includes('4still polling'));
  });

  test('outlives a candidate that vanishes', async () => {
    const session = await Polling.open(base);
    (await probe(session)).close();
    await sleep(20);
    await session.post('4still polling');
    assert.ok((await session.message()).includes('4still polling'));
    (await upgrade(session)).close();
  });
});
