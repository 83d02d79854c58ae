// socket.io-msgpack-parser on both sides: the official client with the official parser, and packets it would not send.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';

import notepack from 'notepack.io';
import { io } from 'socket.io-client';
import * as parser from 'socket.io-msgpack-parser';

import { Socket, within } from './support/engine.mjs';
import { Target, isReference } from './support/target.mjs';

let target;
before(async () => (target = await Target.start({ flags: ['--parser', 'msgpack'] })));
after(() => target?.stop());

const connect = async (nsp = '', options = {}) => {
  const socket = io(new URL(target.socketio).origin + nsp, { parser, forceNew: true, reconnection: false, ...options });
  await within(once(socket, 'connect'), 'the connection');
  return socket;
};

for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
  describe(`the official client by ${transports.join(' and ')}`, () => {
    const run = async (nsp, options, steps) => {
      const socket = await connect(nsp, { transports, ...options });
      try {
        await steps(socket);
      } finally {
        socket.disconnect();
      }
    };

    test('sends its auth payload and gets events', async () => {
      const socket = io(new URL(target.socketio).origin, { parser, transports, forceNew: true, auth: { token: '\u20ac', n: 1.5 } });
      const [auth] = await within(once(socket, 'auth'), 'auth');
      assert.deepEqual(auth, { token: '\u20ac', n: 1.5 });
      socket.disconnect();
    });

    test('gets back what it sends', () =>
      run('', {}, async (socket) => {
        const values = [
          0, -1, 127, 128, -32, -33, 65535, 65536, 2 ** 32, 2 ** 53 - 1, -(2 ** 31) - 1, 0.1, -1.5e-300, true, false, null, '', 'x'.repeat(31), 'x'.repeat(70_000),
          '\u00e9\u20ac\ud83d\ude00"\\\n\u0001', [], {}, Array.from({ length: 20 }, (_, i) => i), Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, [i]])),
          Buffer.from([1, 2, 3]), { deep: [{ data: Buffer.alloc(300, 7) }] },
        ];
        for (const value of values) {
          socket.emit('message', value);
          assert.deepEqual((await within(once(socket, 'message-back'), 'the echo'))[0], value);
          assert.deepEqual(await socket.timeout(3000).emitWithAck('message-with-ack', value), value);
        }
      }));

    test('gets acknowledgements asked of it, binary ones too', () =>
      run('/hub', { auth: { name: 'm' } }, async (socket) => {
        socket.on('question', (value, ack) => ack({ got: value }, Buffer.from([9])));
        const answer = new Promise((resolve) => socket.emit('ask', 2000, Buffer.from([8]), (...args) => resolve(args)));
        assert.deepEqual(await within(answer, 'the answer'), [null, { got: Buffer.from([8]) }, Buffer.from([9])]);
      }));

    test('gets broadcasts, and answers them', () =>
      run('/hub', { auth: { name: 'm' } }, async (socket) => {
        const others = [await connect('/hub', { transports }), await connect('/hub', { transports })];
        for (const [i, other] of others.entries()) {
          await other.timeout(3000).emitWithAck('join', 'two');
          other.on('question', (value, ack) => ack(`${value}${i}`));
        }
        const heard = others.map((other) => once(other, 'sent'));
        socket.emit('send', { to: ['two'] }, { data: Buffer.from([1]) });
        for (const [value] of await within(Promise.all(heard), 'the broadcast')) assert.deepEqual(value, { data: Buffer.from([1]) });
        const [error, answers] = await new Promise((resolve) => socket.emit('ask all', { to: ['two'] }, 2000, 'q', (...args) => resolve(args)));
        assert.equal(error, null);
        assert.deepEqual(answers.sort(), ['q0', 'q1']);
        for (const other of others) other.disconnect();
      }));

    test('is refused with data, and is disconnected', async () => {
      const socket = io(`${new URL(target.socketio).origin}/private`, { parser, transports, forceNew: true, auth: { token: 'bad' } });
      const [error] = await within(once(socket, 'connect_error'), 'the refusal');
      assert.equal(error.message, 'wrong token');
      assert.deepEqual(error.data, { code: 7, hint: ['a'] });
      socket.disconnect();
      await run('/hub', { auth: { name: 'm' } }, async (socket) => {
        const gone = once(socket, 'disconnect');
        socket.emit('bye', false);
        assert.equal((await within(gone, 'the end'))[0], 'io server disconnect');
      });
    });
  });
}

describe('packets written by hand', () => {
  const open = async () => {
    const socket = await Socket.open(`${target.socketio}?EIO=4&transport=websocket`);
    await socket.next('the open packet');
    socket.send(notepack.encode({ type: 0, nsp: '/' }));
    assert.equal(notepack.decode(await socket.next()).type, 0);
    assert.deepEqual(notepack.decode(await socket.next()), { type: 2, nsp: '/', data: ['auth', {}] });
    return socket;
  };

  test('may hold a Date, undefined and an ArrayBuffer', async () => {
    const socket = await open();
    const date = new Date(1764068400123);
    socket.send(notepack.encode({ type: 2, nsp: '/', data: ['message', date, undefined, { a: undefined, b: 1 }, new Uint8Array([1, 2]).buffer], options: { compress: true } }));
    const { data } = notepack.decode(await socket.next());
    // We keep arguments as JSON, which has neither; see libs/socketio/README.md.
    assert.deepEqual(data[1], isReference ? date : date.toISOString());
    assert.equal(data[2] ?? null, null);
    assert.equal(data[3].b, 1);
    assert.deepEqual(Buffer.from(data[4]), Buffer.from([1, 2]));
    socket.close();
  });

  for (const [why, message] of [
    ['text', '40{}'],
    ['no MessagePack', Buffer.from([0xc1])],
    ['something behind the packet', Buffer.concat([notepack.encode({ type: 2, nsp: '/', data: ['message'] }), Buffer.from([0])])],
    ['half a packet', notepack.encode({ type: 2, nsp: '/', data: ['message'] }).subarray(0, 12)],
    ['a type beyond the last', notepack.encode({ type: 5, nsp: '/', data: ['message'] })],
    ['no namespace', notepack.encode({ type: 2, data: ['message'] })],
    ['an event whose data is no array', notepack.encode({ type: 2, nsp: '/', data: 'message' })],
    ['an event without data', notepack.encode({ type: 2, nsp: '/' })],
    ['an id that is text', notepack.encode({ type: 2, nsp: '/', data: ['message'], id: '1' })],
    ['DISCONNECT with data', notepack.encode({ type: 1, nsp: '/', data: {} })],
    ['a second CONNECT', notepack.encode({ type: 0, nsp: '/' })],
    ['a namespace that was not joined', notepack.encode({ type: 2, nsp: '/custom', data: ['message'] })],
  ]) {
    test(`close the connection: ${why}`, async () => {
      const socket = await open();
      socket.send(message);
      assert.equal(await socket.closeCode(), 1005);
    });
  }
});
