// Stock connect-redis and ours under the same workload: slow and fast requests of one session, and logouts while a slow
// request is under way. Counted are updates that are lost, and sessions that come back after their logout.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';

import { Service } from '../../../../tests/clients/service.mjs';
import store from '../express-session.js';
import { App } from './support/app.mjs';

const ROUNDS = 20;
const FAST = 5;

let service;
let redis;
before(async () => {
  service = await Service.start();
  redis = createClient({ socket: { path: service.redisSocket } });
  await redis.connect();
});
after(async () => {
  await redis?.close();
  await service?.stop();
});

// Slow requests wait, with their session loaded, until the test lets them go: the race is the same each time.
function routes(gates) {
  return (app) => {
    app.get('/start', (req, res) => {
      req.session.user = 'ann';
      res.end();
    });
    app.get('/slow/:gate', async (req, res) => {
      req.session.slow = req.params.gate;
      gates.get(req.params.gate).reached();
      await gates.get(req.params.gate).open;
      res.end();
    });
    app.get('/fast/:n', (req, res) => {
      req.session[`fast${req.params.n}`] = 'done';
      res.end();
    });
    app.get('/logout', (req, res) => req.session.destroy(() => res.end()));
  };
}

function newGate() {
  const gate = {};
  gate.isReached = new Promise((resolve) => (gate.reached = resolve));
  gate.open = new Promise((resolve) => (gate.release = resolve));
  return gate;
}

async function race(sessionStore) {
  const gates = new Map();
  const app = await App.start(sessionStore, routes(gates));
  let lost = 0;
  let revived = 0;
  let serial = 0;
  const slow = async (browser) => {
    const name = String(++serial);
    const gate = newGate();
    gates.set(name, gate);
    const answered = browser.get(`/slow/${name}`);
    await gate.isReached;
    return async () => {
      gate.release();
      assert.equal((await answered).status, 200);
      return name;
    };
  };
  try {
    for (let round = 0; round < ROUNDS; ++round) {
      const browser = app.browser();
      await browser.get('/start');
      // A slow request is under way while fast ones, some of them at once, write members of their own.
      const finish = await slow(browser);
      await Promise.all(Array.from({ length: FAST }, (_, n) => browser.get(`/fast/${n}`)));
      const slowest = await finish();
      const record = JSON.parse(await redis.get(`sess:${browser.id}`));
      lost += record.slow !== slowest;
      for (let n = 0; n < FAST; ++n) lost += record[`fast${n}`] !== 'done';
      // The user logs out while another slow request is under way.
      const late = await slow(Object.assign(app.browser(), { cookie: browser.cookie }));
      await browser.get('/logout');
      assert.equal(await redis.exists(`sess:${browser.id}`), 0);
      await late();
      revived += await redis.exists(`sess:${browser.id}`);
    }
    assert.deepEqual(app.errors, []);
  } finally {
    await app.stop();
  }
  return { lost, revived };
}

test('connect-redis loses updates and revives sessions, SesiorStore does neither', async (t) => {
  const stock = await race(new RedisStore({ client: redis }));
  const ours = new store.SesiorStore({ addresses: service.addresses });
  const own = await race(ours);
  t.diagnostic(`of ${ROUNDS * (FAST + 1)} updates lost: connect-redis ${stock.lost}, ours ${own.lost}`);
  t.diagnostic(`of ${ROUNDS} logouts undone: connect-redis ${stock.revived}, ours ${own.revived}`);
  ours.close();
  assert.deepEqual(own, { lost: 0, revived: 0 });
  assert.ok(stock.lost >= ROUNDS, `connect-redis lost ${stock.lost}`);
  assert.equal(stock.revived, ROUNDS);
});
