// What an outage does: nobody is signed out, nothing crashes, and all recovers by itself.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { signedCookie } from './support/express_session.mjs';
import { Browser, request } from './support/http.mjs';
import { announce, fresh, join, Peer } from './support/peer.mjs';
import { System, allGone, isAlive, onlySesior } from './support/system.mjs';
import { until } from './support/wait.mjs';

let system;
before(async () => (system = await System.start()));
after(() => system?.stop());

const verify = (browser) => browser.get('/verify-session');
const isAway = (answer) => {
  assert.equal(answer.status, 503);
  assert.match(answer.headers['retry-after'], /^\d+$/);
  assert.equal(answer.headers['set-cookie'], undefined);
};
const untilAway = (browser) => until('REST to answer 503', async () => (await verify(browser)).status === 503);
// The session is known, and every replica of the session service serves: one may be back before the other, and which of
// them is asked goes by the cookie. 16 unknown sessions reach both.
async function untilWell(browser, name) {
  await until('the session to be known again', async () => (await verify(browser)).json?.user?.userName === name, 20_000);
  const anyCookie = () => signedCookie(randomBytes(24).toString('base64url'));
  await until('every replica to serve', async () => {
    const asked = Array.from({ length: 16 }, () => request(system.rest, { path: '/verify-session', cookie: anyCookie() }));
    return (await Promise.all(asked)).every(({ status }) => status === 200);
  }, 20_000);
}

// Both users can rename and see each other again. Repeated until seen: the first renames may still be refused.
async function sayHello(from, to) {
  await until('a rename to be seen', async () => {
    const name = fresh();
    const [error] = await from.peer.ask('user:rename', name);
    if (error !== null) return false;
    from.name = name;
    return to.peer.next('user:renamed', (e) => e.user.userName === name, 500).then(() => true, () => false);
  }, 20_000);
}

// The first user renames itself as fast as it can before, during and after the fault. The second, on the other replica,
// sees every rename that was acknowledged, once and in order, and is told of no gap.
async function losesNoBroadcast([sender, watcher], fault) {
  watcher.peer.take();
  const acknowledged = [];
  let over = false;
  const renaming = (async () => {
    while (!over) {
      const name = fresh();
      const [error] = await sender.peer.ask('user:rename', name).catch((late) => [late.message]);
      if (error === null) acknowledged.push(name);
    }
  })();
  const more = (count) => until('renames', ((wanted) => () => acknowledged.length >= wanted)(acknowledged.length + count), 30_000);
  await more(20);
  await fault();
  await more(20);
  over = true;
  await renaming;
  const seen = [];
  const gaps = [];
  await until('every acknowledged rename', () => {
    for (const { name, data } of watcher.peer.take()) {
      if (name === 'user:renamed') seen.push(data.user.userName);
      if (name === 'sesior:gap') gaps.push(data);
    }
    return seen.includes(acknowledged.at(-1));
  }, 15_000);
  assert.deepEqual(seen.filter((name) => acknowledged.includes(name)), acknowledged);
  assert.deepEqual(gaps, []);
}

async function untouched(users, outage) {
  const well = users.map(({ browser }) => browser.cookie);
  await outage();
  for (const [i, user] of users.entries()) {
    assert.equal(user.browser.cookie, well[i]);
    assert.equal(user.peer.disconnected, null, `the socket of ${user.name} was lost`);
  }
  await sayHello(users[0], users[1]);
  await sayHello(users[1], users[0]);
}

describe('Redis away', { timeout: 120_000 }, () => {
  test('is a 503 with Retry-After; sockets and sessions stay, and all recovers', async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await untouched(users, async () => {
      system.signal('redis', 'SIGKILL');
      await untilAway(users[0].browser);
      isAway(await verify(users[0].browser));
      isAway(await new Browser(system.rest).register(fresh()));
      isAway(await users[0].browser.register(fresh()));
      isAway(await users[0].browser.post('/logout'));
      const [error] = await users[0].peer.ask('user:rename', fresh());
      assert.equal(typeof error, 'string');
      await system.startEnded();
      for (const { browser, name } of users) await untilWell(browser, name);
    });
    users.forEach(({ peer }) => peer.close());
  });

  test('does not refuse a new socket as "Not authorized"', onlySesior, async () => {
    const ann = await join(system, { replica: 0 });
    process.kill(await system.redisPid(), 'SIGKILL');
    await untilAway(ann.browser);
    const opened = Peer.open(system.realtime[1], ann.browser.cookie).then((peer) => peer.close(), (error) => error);
    const outcome = await Promise.race([opened, untilAway(ann.browser)]);
    assert.notEqual(outcome?.message, 'Not authorized');
    await system.startEnded();
    await untilWell(ann.browser, ann.name);
    await opened;
    ann.peer.close();
  });

  test('that hangs is a 503 as well', onlySesior, async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await untouched(users, async () => {
      const pid = await system.redisPid();
      process.kill(pid, 'SIGSTOP');
      try {
        isAway(await verify(users[0].browser));
        isAway(await users[1].browser.register(fresh()));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      for (const { browser, name } of users) await untilWell(browser, name);
    });
    users.forEach(({ peer }) => peer.close());
  });

  test('for a moment loses no broadcast', onlySesior, async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await losesNoBroadcast(users, async () => {
      for (const type of ['pubsub', 'normal', 'pubsub']) {
        await system.redisCli('CLIENT', 'KILL', 'TYPE', type);
        await pause(300);
      }
    });
    users.forEach(({ peer }) => peer.close());
  });

  test('for two seconds loses no broadcast that was acknowledged', onlySesior, async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await losesNoBroadcast(users, async () => {
      const until2s = Date.now() + 2000;
      while (Date.now() < until2s) await system.redisCli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    });
    users.forEach(({ peer }) => peer.close());
  });
});

describe('the session service away', { ...onlySesior, timeout: 120_000 }, () => {
  test('is a 503 with Retry-After; sockets and sessions stay, and all recovers', async () => {
    await system.restart();
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await untouched(users, async () => {
      system.signal('session', 'SIGKILL');
      await untilAway(users[0].browser);
      isAway(await verify(users[0].browser));
      isAway(await new Browser(system.rest).register(fresh()));
      isAway(await users[0].browser.post('/logout'));
      await system.startEnded();
      for (const { browser, name } of users) await untilWell(browser, name);
    });
    users.forEach(({ peer }) => peer.close());
  });

  test('one replica of two, whichever it is, loses no broadcast', async () => {
    await system.restart();
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    for (const replica of [0, 1]) {
      await losesNoBroadcast(users, async () => {
        system.signal('session', 'SIGKILL', replica);
        await system.startEnded();
      });
    }
    users.forEach(({ peer }) => peer.close());
  });

  test('one replica of two: the other serves everybody', async () => {
    await system.restart();
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await untouched(users, async () => {
      system.signal('session', 'SIGKILL', 0);
      for (const { browser, name } of users) await untilWell(browser, name);
    });
    await system.startEnded();
    users.forEach(({ peer }) => peer.close());
  });
});

describe('REST away', onlySesior, () => {
  test('leaves the sockets alone', { timeout: 60_000 }, async () => {
    await system.restart();
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 1 })];
    await untouched(users, async () => {
      system.signal('rest', 'SIGKILL');
      await sayHello(users[0], users[1]);
      await system.startEnded();
      await until('REST to be back', () => verify(users[0].browser).then((a) => a.status === 200, () => false));
    });
    users.forEach(({ peer }) => peer.close());
  });
});

describe('garbage', () => {
  const GARBAGE = [
    'GET / HTTP/1.1\r\n\r\n', '\0\0\0\0', 'A'.repeat(100_000), 'GET /\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxx',
    'POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\xff\xff\xff',
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
  ];

  const send = (port, text) =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, timeout: 1000 }, () => socket.end(Buffer.from(text, 'latin1')));
      socket.on('data', () => {});
      socket.on('timeout', () => socket.destroy());
      socket.on('error', () => {});
      socket.on('close', resolve);
    });

  test('on any port ends no process', { timeout: 60_000 }, async () => {
    await system.restart();
    const ports = [system.rest, ...system.realtime, ...system.session.map((a) => `http://${a}`)].map((url) => Number(new URL(url).port));
    await Promise.all(ports.flatMap((port) => GARBAGE.map((text) => send(port, text))));
    for (const pid of Object.values(system.pids).flat()) assert.ok(isAlive(pid));
    const user = await join(system);
    assert.equal((await request(`${system.rest}/verify-session`, { cookie: user.browser.cookie })).status, 200);
    user.peer.close();
  });

  test('inside a WebSocket ends its own connection at most', { timeout: 60_000 }, async () => {
    const users = [await join(system, { replica: 0 }), await join(system, { replica: 0 })];
    const victim = await Peer.open(system.realtime[0], users[0].browser.cookie);
    for (const packet of ['9', 'b', '42["user:rename"', '42{}', '40{', '451-["x",{"_placeholder":true,"num":9}]', '4'.repeat(1000), '42["disconnect"]']) {
      const peer = await Peer.open(system.realtime[0], users[0].browser.cookie);
      peer.socket.io.engine.transport.ws.send(packet);
      await Promise.race([peer.gone(3000).catch(() => {}), peer.ask('no:such', 1, 300).catch(() => {})]);
      peer.close();
    }
    assert.equal(victim.disconnected, null);
    await sayHello(users[0], users[1]);
    for (const peer of [victim, users[0].peer, users[1].peer]) peer.close();
  });
});

describe('a restart of everything', () => {
  test('keeps the sign-in and the name', { timeout: 60_000 }, async () => {
    const ann = await join(system, { replica: 0 });
    const { pids } = system;
    await system.restart();
    await allGone(pids);
    ann.browser.base = system.rest;
    assert.equal((await verify(ann.browser)).json.user.userName, ann.name);
    assert.equal((await new Browser(system.rest).register(ann.name)).status, 409);
    await until('nobody to be online', async () => Object.keys((await request(`${system.rest}/users`)).json.users).length === 0, 15_000);
    (await announce(system, ann.browser, ann.name, 1)).close();
  });
});
