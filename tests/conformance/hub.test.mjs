// What a server does with its sockets, as clients see it: rooms and broadcasts, acknowledgements in both directions,
// middleware, dynamic namespaces, ends and their reasons. The application is hub_app.cpp, in the reference reference.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Socket, within } from './support/engine.mjs';
import { Target, isReference } from './support/target.mjs';

let target;
let base;
before(async () => {
  target = await Target.start();
  base = target.socketio;
});
after(() => target?.stop());

const open = async () => {
  const socket = await Socket.open(`${base}?EIO=4&transport=websocket`);
  await socket.next('the open packet');
  return socket;
};

// What was sent before has been dealt with.
const turn = async (socket) => {
  const pong = new Promise((resolve) => socket.ws.once('pong', resolve));
  socket.ws.ping();
  await within(pong, 'a pong');
};

// A client of /hub.
class Peer {
  static async connect(name) {
    const socket = await open();
    socket.send(`40/hub,${JSON.stringify({ name })}`);
    const answer = await socket.next('CONNECT');
    assert.match(answer, /^40\/hub,\{"sid":/);
    return new Peer(name, socket, JSON.parse(answer.slice(7)).sid);
  }
  constructor(name, socket, id) {
    this.name = name;
    this.socket = socket;
    this.id = id;
    this.calls = 0;
  }
  tell(event, ...args) {
    this.socket.send(`42/hub,${JSON.stringify([event, ...args])}`);
  }
  // The arguments of the acknowledgement; events that come before it stay in `events`.
  async call(event, ...args) {
    const id = ++this.calls;
    this.socket.send(`42/hub,${id}${JSON.stringify([event, ...args])}`);
    return this.answer(id, event);
  }
  async answer(id, what) {
    for (;;) {
      const packet = await this.socket.next(`the answer to ${what}`);
      if (packet.startsWith(`43/hub,${id}[`)) return JSON.parse(packet.slice(`43/hub,${id}`.length));
      this.events.push(packet);
    }
  }
  events = [];
  // What has come until now: everything that was sent before, by whomever, has been dealt with.
  async take() {
    await this.call('rooms');
    return this.events.splice(0).map((packet) => packet.replace('42/hub,', ''));
  }
  close() {
    this.socket.close();
  }
}

// All four in /hub, nobody else; "a" and "b" are in red, "b" and "c" in blue.
const four = async (run) => {
  const peers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => Peer.connect(name)));
  const [a, b, c] = peers;
  await Promise.all([a.call('join', 'red'), b.call('join', 'red')]);
  await Promise.all([b.call('join', 'blue'), c.call('join', 'blue')]);
  await a.call('log');
  try {
    await run(...peers);
  } finally {
    for (const peer of peers) peer.close();
    await empty();
  }
};
// Waits until everybody has left.
const empty = async () => {
  const last = await Peer.connect('last');
  const deadline = Date.now() + 3000;
  while ((await last.call('fetch', { from: 'nsp' }))[0].length > 1) assert.ok(Date.now() < deadline);
  last.socket.send('41/hub,');
  last.close();
};
const receivers = async (peers) => {
  let names = '';
  for (const peer of peers) names += (await peer.take()).map((packet) => (assert.equal(packet, '["sent",1]'), peer.name)).join('');
  return names;
};

describe('rooms', () => {
  for (const [spec, who] of [
    [{ from: 'nsp' }, 'abcd'],
    [{}, 'bcd'],
    [{ from: 'nsp', to: ['red'] }, 'ab'],
    [{ to: ['red'] }, 'b'],
    [{ from: 'nsp', to: ['red', 'blue'] }, 'abc'],
    [{ from: 'nsp', except: ['red'] }, 'cd'],
    [{ except: ['blue'] }, 'd'],
    [{ from: 'nsp', to: ['red'], except: ['blue'] }, 'a'],
    [{ from: 'nsp', to: ['nowhere'] }, ''],
    [{ from: 'nsp', except: ['nowhere'] }, 'abcd'],
    [{ from: 'nsp', local: true, to: ['blue'] }, 'bc'],
    [{ from: 'nsp', volatile: true, to: ['blue'] }, 'bc'],
  ]) {
    test(`reach ${who || 'nobody'} by ${JSON.stringify(spec)}`, () =>
      four(async (...peers) => {
        await peers[0].call('send', spec, 1);
        assert.equal(await receivers(peers), who);
      }));
  }

  test('include one for each socket, named by its id', () =>
    four(async (a, b, c, d) => {
      await a.call('send', { from: 'nsp', to: [d.id] }, 1);
      await a.call('send', { from: 'nsp', except: [a.id, b.id] }, 1);
      assert.equal(await receivers([a, b, c, d]), 'cdd');
    }));

  test('are left', () =>
    four(async (a, b, c, d) => {
      await b.call('leave', 'red');
      assert.deepEqual(await b.call('rooms'), [['blue']]);
      await d.call('send', { to: ['red'] }, 1);
      assert.equal(await receivers([a, b, c, d]), 'a');
    }));
});

describe('many sockets at once', () => {
  test('are listed, with rooms and data', () =>
    four(async (a) => {
      assert.deepEqual(await a.call('fetch', { from: 'nsp' }), [['{"name":"a"} 2 own', '{"name":"b"} 3 own', '{"name":"c"} 2 own', '{"name":"d"} 1 own']]);
      assert.deepEqual(await a.call('fetch', { to: ['red'] }), [['{"name":"b"} 3 own']]);
      assert.deepEqual(await a.call('fetch', { from: 'nsp', to: ['nowhere'] }), [[]]);
    }));

  test('join and leave rooms', () =>
    four(async (a, b, c, d) => {
      await a.call('move', { from: 'nsp', to: ['red'] }, ['x', 'y'], ['red']);
      assert.deepEqual(await a.call('rooms'), [['x', 'y']]);
      assert.deepEqual(await b.call('rooms'), [['blue', 'x', 'y']]);
      assert.deepEqual(await c.call('rooms'), [['blue']]);
      await d.call('send', { to: ['y'] }, 1);
      assert.equal(await receivers([a, b, c, d]), 'ab');
    }));

  test('are disconnected from their namespace', () =>
    four(async (a, b, c) => {
      a.tell('kick', { from: 'nsp', to: ['blue'] }, false);
      assert.equal(await b.socket.next(), '41/hub,');
      assert.equal(await c.socket.next(), '41/hub,');
      const [log] = await a.call('log');
      assert.deepEqual(log.filter((line) => line.startsWith('disconnect ')).sort(), ['disconnect b server namespace disconnect 0', 'disconnect c server namespace disconnect 0']);
      b.socket.send('40/hub,{"name":"b"}'); // the connection is still there
      assert.match(await b.socket.next(), /^40\/hub,/);
    }));

  test('lose their connection', () =>
    four(async (a, b) => {
      a.tell('kick', { from: 'nsp', to: [b.id] }, true);
      assert.equal(await b.socket.next(), '41/hub,');
      assert.equal(await b.socket.closeCode(), 1005);
    }));
});

describe('acknowledgements of clients', () => {
  const question = async (peer, json) => {
    const packet = await peer.socket.next('the question');
    const [, id, args] = /^42\/hub,(\d+)(\[.*)$/.exec(packet) ?? assert.fail(packet);
    assert.equal(args, `["question",${json}]`);
    return id;
  };

  test('reach the server', () =>
    four(async (a) => {
      a.tell('ask', 1000, 'x'); // nobody waits for it
      a.socket.send(`43/hub,${await question(a, '"x"')}["ignored"]`);
      a.socket.send('42/hub,7["ask",1000,{"n":1}]');
      a.socket.send(`43/hub,${await question(a, '{"n":1}')}["yes",2]`);
      assert.equal(await a.socket.next(), '43/hub,7[null,"yes",2]');
    }));

  test('may be binary, as may the question', () =>
    four(async (a) => {
      a.socket.send('451-/hub,8["ask",1000,{"_placeholder":true,"num":0}]', Buffer.from([1, 2]));
      const [, id] = /^451-\/hub,(\d+)\["question",\{"_placeholder":true,"num":0\}\]$/.exec(await a.socket.next());
      assert.deepEqual(await a.socket.next(), Buffer.from([1, 2]));
      a.socket.send(`461-/hub,${id}[{"_placeholder":true,"num":0},5]`, Buffer.from([3]));
      assert.equal(await a.socket.next(), '461-/hub,8[null,{"_placeholder":true,"num":0},5]');
      assert.deepEqual(await a.socket.next(), Buffer.from([3]));
    }));

  test('that do not come in time are an error, and ignored afterwards', () =>
    four(async (a) => {
      a.socket.send('42/hub,9["ask",50,1]');
      const id = await question(a, '1');
      assert.equal(await a.socket.next(), '43/hub,9["operation has timed out"]');
      a.socket.send(`43/hub,${id}["late"]`, `43/hub,${id}["again"]`, '43/hub,4711["never asked"]');
      assert.deepEqual(await a.take(), []);
    }));

  test('of a broadcast are gathered', () =>
    four(async (a, b, c) => {
      a.socket.send('42/hub,10["ask all",{"from":"nsp","to":["red","blue"]},1000,"all?"]');
      for (const peer of [a, b, c]) peer.socket.send(`43/hub,${await question(peer, '"all?"')}["${peer.name}","more"]`);
      const [error, answers] = JSON.parse((await a.socket.next()).slice('43/hub,10'.length));
      assert.equal(error, null);
      assert.deepEqual(answers.sort(), ['a', 'b', 'c']);
    }));

  test('of a broadcast that do not all come are an error with those that came', () =>
    four(async (a, b, c) => {
      a.socket.send('42/hub,11["ask all",{"to":["blue"]},200,1]');
      b.socket.send(`43/hub,${await question(b, '1')}["b"]`);
      const id = await question(c, '1');
      assert.equal(await a.socket.next(), '43/hub,11["operation has timed out",["b"]]');
      c.socket.send(`43/hub,${id}["late"]`);
      assert.deepEqual(await c.take(), []);
    }));

  test('of a broadcast to nobody are there at once', () =>
    four(async (a) => {
      assert.deepEqual(await a.call('ask all', { to: ['nowhere'] }, 1000, 1), [null, []]);
    }));
});

describe('middleware', () => {
  for (const [why, auth, answer] of [
    ['with a message', '', '{"message":"no token"}'],
    ['with data', '{"token":"bad"}', '{"message":"wrong token","data":{"code":7,"hint":["a"]}}'],
  ]) {
    test(`refuses ${why}; the client may ask again`, async () => {
      const socket = await open();
      socket.send(`40/private,${auth}`);
      assert.equal(await socket.next(), `44/private,${answer}`);
      socket.send('40/private,{"token":"good"}');
      assert.match(await socket.next(), /^40\/private,\{"sid":/);
      assert.equal(await socket.next(), '42/private,["welcome"]');
      socket.close();
    });
  }

  test('that takes its time holds up nobody else', async () => {
    const socket = await open();
    socket.send('40/private,{"token":"good"}', '40/custom,');
    assert.match(await socket.next(), /^40\/custom,/);
    assert.match(await socket.next(), /^42\/custom,/);
    assert.match(await socket.next(), /^40\/private,/);
    socket.close();
  });

  test('of events drops what it refuses, unseen by handlers, seen by catch-alls', () =>
    four(async (a) => {
      a.tell('forbidden', 1);
      await turn(a.socket);
      await a.call('join', 'x');
      assert.deepEqual((await a.call('log'))[0], ['any a forbidden', 'error a not you', 'any a join']);
    }));
});

describe('catch-alls', () => {
  test('see what goes out, once for each receiver', () =>
    four(async (a) => {
      await a.call('send', { from: 'nsp', to: ['red'] }, 1);
      const [log] = await a.call('log');
      assert.deepEqual(log.sort(), ['any a send', 'out a sent[1]', 'out b sent[1]']);
    }));
});

describe('dynamic namespaces', () => {
  test('are made for a name that matches', async () => {
    const socket = await open();
    socket.send('40/dynamic-1', '40/dynamic-22');
    assert.match(await socket.next(), /^40\/dynamic-1,\{"sid":/);
    assert.equal(await socket.next(), '42/dynamic-1,["here","/dynamic-1"]');
    assert.match(await socket.next(), /^40\/dynamic-22,/);
    assert.equal(await socket.next(), '42/dynamic-22,["here","/dynamic-22"]');
    socket.send('41/dynamic-1,');
    await turn(socket);
    socket.send('40/dynamic-1,'); // the last one had left: it is made again
    assert.match(await socket.next(), /^40\/dynamic-1,/);
    assert.equal(await socket.next(), '42/dynamic-1,["here","/dynamic-1"]');
    socket.close();
  });

  test('are refused for one that does not', async () => {
    const socket = await open();
    for (const nsp of ['/dynamic-', '/dynamic-1x', '/x/dynamic-1']) {
      socket.send(`40${nsp},`);
      assert.equal(await socket.next(), `44${nsp},{"message":"Invalid namespace"}`);
    }
    socket.close();
  });

  test('may depend on who asks', async () => {
    const socket = await open();
    socket.send('40/my-place,{"secret":"your"}');
    assert.equal(await socket.next(), '44/my-place,{"message":"Invalid namespace"}');
    socket.send('40/my-place,{"secret":"my"}');
    assert.match(await socket.next(), /^40\/my-place,/);
    assert.equal(await socket.next(), '42/my-place,["here","/my-place"]');
    socket.close();
  });
});

describe('the end of a socket', () => {
  // The reference says "forced close" wherever it is the one who closes, whatever the cause.
  const own = (reason) => (isReference ? 'forced close' : reason);
  for (const [how, reason, end, skip] of [
    ['DISCONNECT', 'client namespace disconnect', (peer) => peer.socket.send('41/hub,')],
    ['a close packet', 'transport close', (peer) => peer.socket.send('1'), isReference], // see README.md
    ['a closed connection', 'transport close', (peer) => peer.socket.ws.close()],
    ['a packet that is none', own('parse error'), (peer) => peer.socket.send('47')],
    ['a packet that is not allowed', own('forced server close'), (peer) => peer.socket.send('40/hub,')],
    ['silence', 'ping timeout', (peer) => (peer.socket.answersPings = false)],
    ['the server, for the namespace', 'server namespace disconnect', (peer) => peer.tell('bye', false)],
    ['the server, for the connection', 'server namespace disconnect', (peer) => peer.tell('bye', true)],
  ]) {
    test(`by ${how} has the reason "${reason}"; the rooms are left in between`, { skip }, () =>
      four(async (a, b) => {
        end(b);
        const log = [];
        const wait = async () => {
          while (log.length < 2) log.push(...(await a.call('log'))[0].filter((line) => line.startsWith('disconnect')));
        };
        await within(wait(), 'the end');
        assert.deepEqual(log, [`disconnecting b ${reason} red,blue`, `disconnect b ${reason} 0`]);
      }));
  }
});
