// Socket.IO 5: one case for each rule a client can notice, by packets written by hand over a WebSocket.
// The application: "auth" after CONNECT, "message" comes back as "message-back", "message-with-ack" is acknowledged with
// its arguments; namespaces "/" and "/custom".
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Polling, Socket, within } from './support/engine.mjs';
import { isReference, Target } from './support/target.mjs';

let target;
let base;
before(async () => {
  target = await Target.start();
  base = target.socketio;
});
after(() => target?.stop());

// An Engine.IO connection that has joined no namespace.
const open = async () => {
  const socket = await Socket.open(`${base}?EIO=4&transport=websocket`);
  await socket.next('the open packet');
  return socket;
};
// One that has joined "/".
const connect = async () => {
  const socket = await open();
  socket.send('40');
  assert.match(await socket.next('CONNECT'), /^40\{"sid":"[\w-]+"\}$/);
  assert.equal(await socket.next('auth'), '42["auth",{}]');
  return socket;
};
// What was sent before has been dealt with, and the namespace is still joined.
const fence = async (socket) => {
  socket.send('42["message","fence"]');
  assert.equal(await socket.next('the fence'), '42["message-back","fence"]');
};

const reviver = (attachments) => (_, value) => (value?._placeholder ? attachments[value.num] : value);
// A packet with its attachments, put together: {head, args}.
const receive = async (socket) => {
  const text = await socket.next();
  const [, head, count, json] = /^(4\d(?:(\d+)-)?[^[{]*)(.*)$/.exec(text);
  const attachments = [];
  for (let i = 0; i < Number(count ?? 0); ++i) {
    attachments.push(await socket.next('an attachment'));
    assert.ok(Buffer.isBuffer(attachments[i]));
  }
  return { head, args: JSON.parse(json, reviver(attachments)), attachments };
};

describe('CONNECT', () => {
  test('is answered with an id of its own, which is not the id of the connection', async () => {
    const engine = await Socket.open(`${base}?EIO=4&transport=websocket`);
    const { sid: secret } = JSON.parse((await engine.next()).slice(1));
    engine.send('40');
    const { sid } = JSON.parse((await engine.next()).slice(2));
    assert.notEqual(sid, secret);
    assert.ok(sid.length >= 20 && !secret.includes(sid));
    engine.close();
  });

  for (const [packet, answer] of [
    ['40', '/^40\\{"sid":/'],
    ['40/,', '/^40\\{"sid":/'],
    ['40/custom,', '/^40\\/custom,\\{"sid":/'],
    ['40/custom', '/^40\\/custom,\\{"sid":/'],
  ]) {
    test(`joins by ${packet}`, async () => {
      const socket = await open();
      socket.send(packet);
      assert.match(await socket.next(), new RegExp(answer.slice(1, -1)));
      socket.close();
    });
  }

  test('hands its payload to the application', async () => {
    const socket = await open();
    socket.send('40{"token":"123"}', '40/custom,{"token":"abc"}');
    assert.match(await socket.next(), /^40\{"sid":/);
    assert.equal(await socket.next(), '42["auth",{"token":"123"}]');
    assert.match(await socket.next(), /^40\/custom,\{"sid":/);
    assert.equal(await socket.next(), '42/custom,["auth",{"token":"abc"}]');
    socket.close();
  });

  for (const nsp of ['/random', '/custom?a=b', '/CUSTOM', '/custom/']) {
    test(`is refused for ${nsp}, and the connection stays`, async () => {
      const socket = await open();
      socket.send(`40${nsp},`);
      assert.equal(await socket.next(), `44${nsp},{"message":"Invalid namespace"}`);
      socket.send('40');
      assert.match(await socket.next(), /^40\{"sid":/);
      socket.close();
    });
  }

  for (const payload of ['["a"]', '"a"', '{', '{"a":1}x', 'true']) {
    test(`closes the connection on the payload ${payload}`, async () => {
      const socket = await open();
      socket.send(`40${payload}`);
      assert.equal(await socket.closeCode(), 1005);
    });
  }

  test('has to come within the connect timeout', async () => {
    const socket = await open();
    const from = Date.now();
    assert.equal(await socket.closeCode(), 1005);
    assert.ok(Date.now() - from > 900);
  });

  test('is not in time while a middleware is thinking', async () => {
    const socket = await open();
    const from = Date.now();
    socket.send('40/stuck');
    assert.equal(await socket.closeCode(), 1005);
    assert.ok(Date.now() - from > 900);
  });

  test('to an unknown namespace does not stop the connect timeout', async () => {
    const socket = await open();
    socket.send('40/random');
    await socket.next();
    assert.equal(await socket.closeCode(), 1005);
  });
});

describe('events', () => {
  for (const args of ['', ',1', ',"1",true,null,{"a":[1.5,-2e3]},[]', ',"\u20ac \ud83d\ude00"', ',"\\ud800"', ',{"a":1,"a":2}', ',{"__proto__":1}']) {
    test(`come back as they were: [...${args}]`, async () => {
      const socket = await connect();
      socket.send(`42["message"${args}]`);
      const { head, args: got } = await receive(socket);
      assert.equal(head, '42');
      assert.deepEqual(got, JSON.parse(`["message-back"${args}]`));
      await fence(socket);
      socket.close();
    });
  }

  for (const [packet, id] of [['421["message-with-ack",1]', '1'], ['42007["message-with-ack",1]', '7'], ['420["message-with-ack",1]', '0'], ['4212 ["message-with-ack",1]', '12']]) {
    test(`are acknowledged: ${packet}`, async () => {
      const socket = await connect();
      socket.send(packet);
      assert.equal(await socket.next(), `43${id}[1]`);
      socket.close();
    });
  }

  test('of one socket are dealt with in order', async () => {
    const socket = await connect();
    for (let i = 0; i < 100; ++i) socket.send(`42${i}["message-with-ack",${i}]`);
    for (let i = 0; i < 100; ++i) assert.equal(await socket.next(), `43${i}[${i}]`);
    socket.close();
  });

  // The reference reads every number as a double.
  test('keep their numbers as they were written', { skip: isReference }, async () => {
    const socket = await connect();
    socket.send('429007199254740993["message-with-ack",12345678901234567890,1.0e0,-0]');
    assert.equal(await socket.next(), '439007199254740993[12345678901234567890,1.0e0,-0]');
    socket.close();
  });

  for (const packet of ['42', '42[1,2]', '42["nobody listens"]', '421["nobody listens"]', '4399[]', '43[]', '6', '3', '5', '0{}']) {
    test(`nothing happens on ${packet}`, async () => {
      const socket = await connect();
      socket.send(packet);
      await fence(socket);
      socket.close();
    });
  }
});

describe('binary', () => {
  const bytes = (...values) => Buffer.from(values);

  test('comes back in events', async () => {
    const socket = await connect();
    socket.send('452-["message",{"_placeholder":true,"num":0},"x",{"deep":[{"_placeholder":true,"num":1}]}]', bytes(1, 2, 3), bytes());
    const { head, args } = await receive(socket);
    assert.equal(head, '452-');
    assert.deepEqual(args, ['message-back', bytes(1, 2, 3), 'x', { deep: [bytes()] }]);
    socket.close();
  });

  test('comes back in acknowledgements', async () => {
    const socket = await connect();
    socket.send('451-456["message-with-ack",{"_placeholder":true,"num":0}]', bytes(4, 5));
    const { head, args } = await receive(socket);
    assert.equal(head, '461-456');
    assert.deepEqual(args, [bytes(4, 5)]);
    socket.close();
  });

  test('in an event does not make its acknowledgement binary', async () => {
    const socket = await connect();
    socket.send('40/clients,');
    assert.match(await socket.next(), /^40\/clients,/);
    socket.send('451-/clients,5["count",{"_placeholder":true,"num":0}]', bytes(1));
    assert.equal(await socket.next(), '43/clients,5[1]');
    socket.close();
  });

  test('may be meant by two placeholders', async () => {
    const socket = await connect();
    socket.send('451-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', bytes(7));
    assert.deepEqual((await receive(socket)).args, ['message-back', bytes(7), bytes(7)]);
    await fence(socket);
    socket.close();
  });

  test('that no placeholder means does no harm', async () => {
    const socket = await connect();
    socket.send('452-["message",{"_placeholder":true,"num":1}]', bytes(7), bytes(8));
    assert.deepEqual((await receive(socket)).args, ['message-back', bytes(8)]);
    await fence(socket);
    socket.close();
  });

  test('takes ten attachments', async () => {
    const socket = await connect();
    const all = Array.from({ length: 10 }, (_, i) => bytes(i));
    socket.send(`4510-["message",${all.map((_, i) => `{"_placeholder":true,"num":${i}}`)}]`, ...all);
    assert.deepEqual((await receive(socket)).args, ['message-back', ...all]);
    socket.close();
  });

  test('a placeholder in an event without attachments is an ordinary object', async () => {
    const socket = await connect();
    socket.send('42["message",{"_placeholder":true,"num":0}]');
    assert.equal(await socket.next(), '42["message-back",{"_placeholder":true,"num":0}]');
    socket.close();
  });

  test('goes through long-polling', async () => {
    const session = await Polling.open(base);
    await session.post('40');
    const packets = await session.message();
    while (packets.length < 2) packets.push(...(await session.message()));
    assert.equal(packets[1], '42["auth",{}]');
    await session.post('451-["message",{"_placeholder":true,"num":0}]\x1ebAQID');
    const echo = await session.message();
    while (echo.length < 2) echo.push(...(await session.message()));
    assert.deepEqual(echo, ['451-["message-back",{"_placeholder":true,"num":0}]', 'bAQID']);
    await session.post('1');
  });
});

// What a client may not do: its connection closes without a code.
describe('closes the connection', () => {
  const binary = Buffer.from([1]);
  const elevenPlaceholders = Array.from({ length: 11 }, (_, i) => `{"_placeholder":true,"num":${i}}`);
  for (const [why, ...messages] of [
    ['an unknown type', '47'],
    ['a letter for a type', '4abc'],
    ['bad JSON', '42["message"'],
    ['something behind the JSON', '42["message"]x'],
    ['an object for arguments', '42{"a":1}'],
    ['a string for arguments', '42"message"'],
    ['no arguments at all', '42[]'],
    ['a name that is null', '42[null]'],
    ['a name that is an object', '42[{}]'],
    ['a name that is true', '42[true]'],
    ...['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map((name) => [`the reserved name ${name}`, `42["${name}"]`]),
    ['an ack id that is none', '42abc["message-with-ack",1]'],
    ['an acknowledgement without array', '431{"a":1}'],
    ['DISCONNECT with a payload', '41{}'],
    ['CONNECT_ERROR', '44{"message":"x"}'],
    ['a second CONNECT', '40'],
    ['an event for a namespace that was not joined', '42/custom,["message"]'],
    ['an event for a namespace that does not exist', '42/nope,["message"]'],
    ['text while an attachment is due', '451-["message",{"_placeholder":true,"num":0}]', '42["message"]'],
    ['binary when none is due', binary],
    ['binary written as text when none is due', 'bAQID'],
    ['more than ten attachments', `4511-["message",${elevenPlaceholders}]`],
    ['a binary event without a count', '45-["message"]'],
    ['a binary event without dash', '451["message"]'],
    ['a binary event with a count of none', '450-["message"]'],
    ['a count that is no number', '45a-["message"]', binary],
    ['a placeholder beyond the attachments', '451-["message",{"_placeholder":true,"num":1}]', binary],
    ['a negative placeholder', '451-["message",{"_placeholder":true,"num":-1}]', binary],
    ['a placeholder that is a string', '451-["message",{"_placeholder":true,"num":"0"}]', binary],
    // The reference takes undefined for what it means.
    ...(isReference ? [] : [['a placeholder between two attachments', '452-["message",{"_placeholder":true,"num":0.5}]', binary, binary]]),
    ['a placeholder without number', '451-["message",{"_placeholder":true}]', binary],
  ]) {
    test(`on ${why}`, async () => {
      const socket = await connect();
      socket.send(...messages);
      assert.equal(await socket.closeCode(), 1005);
    });
  }

  for (const packet of ['42["message"]', '41', '431[]']) {
    test(`on ${packet} before CONNECT`, async () => {
      const socket = await open();
      socket.send(packet);
      assert.equal(await socket.closeCode(), 1005);
    });
  }

  test('of the one who did it, and of nobody else', async () => {
    const [good, bad] = [await connect(), await connect()];
    bad.send('47');
    await bad.closeCode();
    await fence(good);
    good.close();
  });

  test('of a long-polling client whose GET is waiting', async () => {
    const session = await Polling.open(base);
    const poll = session.startPoll();
    await poll.socket();
    await session.post('47');
    assert.equal((await poll.answer).body.split('\x1e').at(-1), '1');
    assert.equal(await session.gone(), 1);
  });

  test('of a long-polling client as well', async () => {
    const session = await Polling.open(base);
    await session.post('47');
    assert.equal((await session.poll()).at(-1), '1');
    assert.equal(await session.gone(), 1);
  });
});

describe('DISCONNECT', () => {
  // What was sent before has been dealt with, whatever is joined.
  const turn = async (socket) => {
    const pong = new Promise((resolve) => socket.ws.once('pong', resolve));
    socket.ws.ping();
    await within(pong, 'a pong');
  };

  test('leaves the connection open; the namespace can be joined again', async () => {
    const socket = await connect();
    socket.send('41');
    await turn(socket);
    socket.send('40');
    assert.match(await socket.next(), /^40\{"sid":/);
    assert.equal(await socket.next(), '42["auth",{}]');
    await fence(socket);
    socket.close();
  });

  test('of one namespace does not touch another', async () => {
    const socket = await connect();
    socket.send('40/custom');
    assert.match(await socket.next(), /^40\/custom,/);
    assert.match(await socket.next(), /^42\/custom,/);
    socket.send('41/custom');
    await fence(socket);
    socket.close();
  });

  test('from the server leaves the other namespaces', async () => {
    const socket = await connect();
    socket.send('40/clients,');
    assert.match(await socket.next(), /^40\/clients,/);
    socket.send('42/clients,["kick"]');
    assert.equal(await socket.next(), '41/clients,');
    await fence(socket);
    socket.close();
  });

  test('from the server may end them all, and the connection', async () => {
    const socket = await connect();
    socket.send('40/custom,', '40/clients,');
    for (let i = 0; i < 3; ++i) await socket.next(); // CONNECT, auth, CONNECT
    socket.send('42/clients,["kick",true]');
    const left = [await socket.next(), await socket.next(), await socket.next()];
    assert.deepEqual(left.sort(), ['41', '41/clients,', '41/custom,']);
    assert.equal(await socket.closeCode(), 1005);
  });

  test('may be followed by packets that were on their way', async () => {
    const socket = await connect();
    socket.ws._socket.cork();
    socket.send('41', '42["message","late"]');
    socket.ws._socket.uncork();
    await turn(socket);
    socket.send('40');
    assert.match(await socket.next(), /^40\{"sid":/);
    socket.close();
  });
});
