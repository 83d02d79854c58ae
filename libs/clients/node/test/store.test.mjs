// What applications rely on of their session store: asked of connect-redis first, to be sure that it is so, then of
// ours. What differs is asked in race.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import flash from 'connect-flash';
import { RedisStore } from 'connect-redis';
import passport from 'passport';
import { Strategy } from 'passport-local';
import { createClient } from 'redis';

import { Service, until } from '../../../../tests/clients/service.mjs';
import store from '../express-session.js';
import { App } from './support/app.mjs';

const { SesiorStore } = store;

let service;
let redis;
const ours = [];
before(async () => {
  service = await Service.start();
  redis = createClient({ socket: { path: service.redisSocket } });
  await redis.connect();
});
after(async () => {
  for (const each of ours) each.close();
  await redis?.close();
  await service?.stop();
});

function newOurs(options) {
  const made = new SesiorStore({ addresses: service.addresses, ...options });
  ours.push(made);
  return made;
}

const recordOf = async (id) => JSON.parse(await redis.get(`sess:${id}`));

const json = (app, path, handler) =>
  app.get(path, async (req, res, next) => {
    try {
      res.json((await handler(req, res)) ?? null);
    } catch (error) {
      next(error);
    }
  });
const promised = (call) => new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));

for (const [name, make] of [
  ['connect-redis', (options) => new RedisStore({ client: redis, ...options })],
  ['SesiorStore', newOurs],
]) {
  describe(name, () => {
    async function using(routes, options, run, storeOptions) {
      const app = await App.start(make(storeOptions), routes, options);
      try {
        await run(app.browser(), app);
        assert.deepEqual(app.errors, []);
      } finally {
        await app.stop();
      }
    }

    test('keeps members of every kind', () =>
      using(
        (app) => {
          json(app, '/set', (req) => {
            Object.assign(req.session, {
              n: 1.5, big: 12345678901234, text: 'ä "\\ \u2028 💡', no: null, list: [1, null, { a: null }], date: new Date(0),
              deep: { a: { b: { c: null, d: [] } } }, empty: {}, userName: 'ann', undef: undefined,
            });
          });
          json(app, '/change', (req) => {
            delete req.session.n;
            req.session.text = null;
            req.session.deep.a.b.d.push({ x: 1 });
            delete req.session.deep.a.b.c;
            req.session.userName = 'anna';
          });
          json(app, '/get', (req) => ({ ...req.session, cookie: undefined }));
        },
        {},
        async (browser) => {
          await browser.get('/set');
          const first = (await browser.get('/get')).json();
          assert.deepEqual(first, {
            n: 1.5, big: 12345678901234, text: 'ä "\\ \u2028 💡', no: null, list: [1, null, { a: null }], date: '1970-01-01T00:00:00.000Z',
            deep: { a: { b: { c: null, d: [] } } }, empty: {}, userName: 'ann',
          });
          await browser.get('/change');
          const second = (await browser.get('/get')).json();
          delete first.n;
          assert.deepEqual(second, { ...first, text: null, deep: { a: { b: { d: [{ x: 1 }] } } }, userName: 'anna' });
          assert.deepEqual((await recordOf(browser.id)).cookie, { originalMaxAge: null, expires: null, httpOnly: true, path: '/' });
        },
      ));

    test('stores nothing for a visitor who changes nothing, and something when told to', async () => {
      const routes = (app) => json(app, '/', () => 'hello');
      await using(routes, {}, async (browser) => {
        await browser.get('/');
        assert.equal(browser.cookie, null);
      });
      await using(routes, { saveUninitialized: true }, async (browser) => {
        await browser.get('/');
        assert.ok(await recordOf(browser.id));
      });
    });

    test('regenerate, reload, save and destroy', () =>
      using(
        (app) => {
          json(app, '/set', (req) => void (req.session.a = 1));
          json(app, '/regenerate', async (req) => {
            const before = req.sessionID;
            await promised((done) => req.session.regenerate(done));
            assert.notEqual(req.sessionID, before);
            assert.equal(req.session.a, undefined);
            req.session.b = 2;
          });
          json(app, '/reload', async (req) => {
            req.session.thrown = 'away';
            await promised((done) => req.session.reload(done));
            return Object.keys(req.session);
          });
          json(app, '/save', async (req) => {
            req.session.c = 3;
            await promised((done) => req.session.save(done));
            req.session.c = 4;
            const twice = [promised((done) => req.session.save(done)), promised((done) => req.session.save(done))];
            req.session.d = 5;
            await Promise.all(twice);
          });
          json(app, '/destroy', async (req) => {
            await promised((done) => req.session.destroy(done));
            assert.equal(req.session, undefined);
          });
          json(app, '/null', (req) => void (req.session = null));
          json(app, '/get', (req) => ({ ...req.session, cookie: undefined }));
        },
        { unset: 'destroy' },
        async (browser) => {
          await browser.get('/set');
          const first = browser.id;
          await browser.get('/regenerate');
          assert.notEqual(browser.id, first);
          assert.equal(await recordOf(first), null);
          assert.deepEqual((await browser.get('/get')).json(), { b: 2 });
          assert.deepEqual((await browser.get('/reload')).json(), ['cookie', 'b']);
          await browser.get('/save');
          assert.deepEqual((await browser.get('/get')).json(), { b: 2, c: 4, d: 5 });
          await browser.get('/destroy');
          assert.equal(await recordOf(browser.id), null);
          assert.deepEqual((await browser.get('/get')).json(), {});
          await browser.get('/set');
          await browser.get('/null');
          assert.equal(await recordOf(browser.id), null);
        },
      ));

    test('rolling cookies, and what maxAge says', () =>
      using(
        (app) => {
          json(app, '/set', (req) => void (req.session.a = 1));
          json(app, '/remember', (req) => {
            req.session.remember = true;
            req.session.cookie.maxAge = 600_000;
          });
          json(app, '/forget', (req) => {
            req.session.remember = false;
            req.session.cookie.expires = false;
          });
          json(app, '/over', (req) => {
            req.session.x = 1;
            req.session.cookie.maxAge = -1000;
          });
          json(app, '/get', () => 'hello');
        },
        { rolling: true, cookie: { maxAge: 60_000, sameSite: 'lax' } },
        async (browser) => {
          const ttl = async () => Number(await redis.pTTL(`sess:${browser.id}`));
          const near = async (ms) => assert.ok(Math.abs((await ttl()) - ms) < 10_000, `${await ttl()} is not about ${ms}`);
          await browser.get('/set');
          await near(60_000);
          const expires = new Date(/Expires=([^;]+)/.exec(browser.setCookie)[1]).getTime();
          assert.ok(Math.abs(expires - Date.now() - 60_000) < 10_000);
          await redis.pExpire(`sess:${browser.id}`, 30_000);
          await browser.get('/get');
          assert.match(browser.setCookie, /Expires=/);
          await near(60_000);
          await browser.get('/remember');
          await near(600_000);
          assert.equal((await recordOf(browser.id)).cookie.originalMaxAge, 600_000);
          await redis.pExpire(`sess:${browser.id}`, 30_000);
          await browser.get('/get');
          await near(600_000);
          await browser.get('/forget');
          await near(86_400_000);
          assert.doesNotMatch(browser.setCookie, /Expires=/);
          await browser.get('/over');
          assert.equal(await recordOf(browser.id), null);
        },
      ));

    test('the option ttl, with resave', () =>
      using(
        (app) => json(app, '/', (req) => void (req.session.a ??= 1)),
        { resave: true },
        async (browser) => {
          await browser.get('/');
          for (const ms of [0, 10_000]) {
            if (ms) await redis.pExpire(`sess:${browser.id}`, ms);
            await browser.get('/');
            const ttl = Number(await redis.pTTL(`sess:${browser.id}`));
            assert.ok(Math.abs(ttl - 300_000) < 10_000, String(ttl));
          }
        },
        { ttl: 300 },
      ));

    test('Passport login and logout, and flash messages', () => {
      const auth = new passport.Passport();
      auth.use(new Strategy({ usernameField: 'user', passwordField: 'word' }, (user, word, done) => done(null, word === 'open' && { id: user })));
      auth.serializeUser((user, done) => done(null, user.id));
      auth.deserializeUser((id, done) => done(null, { id }));
      return using(
        (app) => {
          app.use(flash());
          app.use(auth.session());
          app.get('/login', auth.authenticate('local', { failureFlash: 'wrong', failureRedirect: '/', successRedirect: '/' }));
          json(app, '/', (req) => ({ user: req.user?.id, flash: req.flash() }));
          json(app, '/visit', (req) => void (req.session.visited = true));
          json(app, '/logout', (req) => promised((done) => req.logout(done)));
        },
        {},
        async (browser) => {
          await browser.get('/visit');
          const anonymous = browser.id;
          await browser.get('/login?user=ann&word=shut');
          assert.deepEqual((await browser.get('/')).json(), { flash: { error: ['wrong'] } });
          assert.deepEqual((await browser.get('/')).json(), { flash: {} }, 'a message is shown once');
          await browser.get('/login?user=ann&word=open');
          assert.notEqual(browser.id, anonymous);
          assert.equal(await recordOf(anonymous), null);
          assert.deepEqual((await browser.get('/')).json(), { user: 'ann', flash: {} });
          const loggedIn = browser.id;
          await browser.get('/logout');
          assert.deepEqual((await browser.get('/')).json(), { flash: {} });
          assert.notEqual(browser.id, loggedIn);
          assert.equal(await recordOf(loggedIn), null);
        },
      );
    });

    test('get, set, touch and destroy by hand, with callbacks and without', async () => {
      const own = make();
      const id = 'by-hand-0123456789-0123456789-abcdef';
      const cookie = { originalMaxAge: null, expires: null, path: '/' };
      assert.equal((await own.get(id)) ?? null, null);
      await promised((done) => own.set(id, { cookie, a: 1 }, done));
      const read = await promised((done) => own.get(id, done));
      assert.deepEqual(read, { cookie, a: 1 });
      read.b = 2;
      await own.set(id, read);
      assert.deepEqual(await own.get(id), { cookie, a: 1, b: 2 });
      await own.touch(id, read);
      await promised((done) => own.destroy(id, done));
      await own.touch(id, read);
      assert.equal((await own.get(id)) ?? null, null);
    });
  });
}

test('members of others stay, whatever holders write and when', async () => {
  const own = newOurs();
  const id = 'two-holders-0123456789-0123456789';
  const cookie = { originalMaxAge: null, expires: null, path: '/' };
  await own.set(id, { cookie, a: 1, b: { x: 1, y: 1 } });
  const [one, two] = [await own.get(id), await own.get(id)];
  one.b.x = 2;
  delete one.a;
  two.b.y = 2;
  two.c = 3;
  await Promise.all([own.set(id, one), own.set(id, two)]);
  assert.deepEqual(await own.get(id), { cookie, b: { x: 2, y: 2 }, c: 3 });
  // A holder that never read it takes nothing away.
  await own.set(id, { cookie, d: 4 });
  assert.deepEqual(await own.get(id), { cookie, b: { x: 2, y: 2 }, c: 3, d: 4 });
});

test('a write that comes after the end does nothing, and is counted', async () => {
  const own = newOurs();
  const id = 'after-the-end-0123456789-01234567';
  const cookie = { originalMaxAge: null, expires: null, path: '/' };
  await own.set(id, { cookie, a: 1 });
  const late = await own.get(id);
  await own.destroy(id);
  const dropped = [];
  own.on('dropped', (why) => dropped.push(why));
  late.a = 2;
  await own.set(id, late);
  await own.set(id, { cookie, a: 3 });
  assert.equal(await own.get(id), null);
  assert.equal(own.dropped, 2);
  assert.deepEqual(dropped, Array(2).fill({ operation: 'set', reason: 'SESSION_DESTROYED' }));
});

test('an outage is an error, and nobody is signed out by it', async () => {
  const app = await App.start(newOurs({ timeoutMs: 1000 }), (each) => {
    json(each, '/set', (req) => void (req.session.a = 1));
    json(each, '/get', (req) => req.session.a ?? 'none');
  });
  try {
    const browser = app.browser();
    await browser.get('/set');
    await service.kill(0);
    assert.equal((await browser.get('/get')).json(), 1, 'the other replica answers');
    await service.kill(1);
    assert.equal((await browser.get('/get')).status, 500);
    await Promise.all([service.revive(0), service.revive(1)]);
    await until('the service', async () => (await browser.get('/get')).status === 200);
    assert.equal((await browser.get('/get')).json(), 1);
  } finally {
    await app.stop();
  }
});

describe('users and devices', () => {
  const users = async (userId) => (await newOurs().client.listSessions({ userId })).sessions;

  test('a login that keeps the id gives the session its user, once', async () => {
    const routes = (app) => {
      json(app, '/visit', (req) => void (req.session.visits = (req.session.visits ?? 0) + 1));
      json(app, '/login/:user', (req) => void (req.session.passport = { user: req.params.user }));
    };
    const app = await App.start(newOurs(), routes);
    try {
      const browser = app.browser();
      await browser.get('/visit');
      assert.deepEqual(await users('keeper'), []);
      const { id } = browser;
      await browser.get('/login/keeper');
      assert.equal(browser.id, id);
      const [session] = await users('keeper');
      assert.equal(session.device.address, '127.0.0.1');
      assert.match(session.device.userAgent, /node|undici/);
      // Another user in the same session is the application's affair; the index keeps who it was.
      await browser.get('/login/other');
      await browser.get('/visit');
      assert.equal((await users('keeper')).length, 1);
      assert.deepEqual(await users('other'), []);
      // What no user can be signs in as before, and is in no list.
      const odd = app.browser();
      await odd.get(`/login/${encodeURIComponent('a b{}')}`);
      await odd.get('/visit');
      assert.deepEqual(app.errors, []);
    } finally {
      await app.stop();
    }
  });

  test('a session is made with its user and its device, as the application tells them', async () => {
    const options = { userId: (session) => session.who, device: (req) => ({ address: '192.0.2.1', label: req.headers['user-agent'] ? 'a browser' : '' }) };
    const app = await App.start(newOurs(options), (routes) => json(routes, '/', (req) => void (req.session.who = 17)));
    try {
      await app.browser().get('/');
      const [session] = await users('17');
      assert.deepEqual([session.device.address, session.device.label], ['192.0.2.1', 'a browser']);
      assert.deepEqual(app.errors, []);
    } finally {
      await app.stop();
    }
  });
});
