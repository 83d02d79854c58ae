// What it is all for, in real browsers: two people, two replicas, one session for each. Screenshots: tests/artifacts.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ExpressApp } from '../interop/support/express.mjs';
import { Person, launch } from './support/chromium.mjs';
import { request } from './support/http.mjs';
import { fresh } from './support/peer.mjs';
import { System, onlySesior } from './support/system.mjs';
import { until } from './support/wait.mjs';

const pageFolder = join(dirname(fileURLToPath(import.meta.url)), '../../services/web/public');

let system;
let browser;
before(async () => {
  [system, browser] = await Promise.all([System.start(), launch()]);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

const pageOf = (replica) => `${system.rest}/?replica=${replica}`;

test('two people on two replicas see each other, rename, reload, and survive a restart of everything', { timeout: 120_000 }, async () => {
  const [ann, bob] = [await Person.open(browser, pageOf(1)), await Person.open(browser, pageOf(2), { colorScheme: 'dark' })];
  await ann.signedOut();
  await ann.shot('1-welcome');
  await bob.shot('2-welcome-dark');

  await ann.register('Ann');
  await ann.live(1);
  await bob.register('<b>Bob</b> & مريم');
  await bob.live(2);
  await ann.news('<b>Bob</b> & مريم joined');
  for (const person of [ann, bob]) await person.online(['Ann', '<b>Bob</b> & مريم']);

  await bob.rename('Bob Hopper');
  await bob.named('Bob Hopper');
  await ann.news('<b>Bob</b> & مريم is now Bob Hopper');
  await ann.rename('Ann Lovelace');
  await bob.news('Ann is now Ann Lovelace');
  for (const person of [ann, bob]) await person.online(['Ann Lovelace', 'Bob Hopper']);
  await ann.shot('3-two-replicas');
  await bob.shot('4-two-replicas-dark');

  // F5.
  await ann.page.reload();
  await ann.named('Ann Lovelace');
  await ann.live(1);
  await ann.online(['Ann Lovelace', 'Bob Hopper']);
  assert.equal(await bob.page.getByRole('log').getByText('left').count(), 0);

  // Everything stops, and starts again; the page may have moved to other ports, the session has not.
  await system.restart();
  for (const [person, replica] of [[ann, 1], [bob, 2]]) await person.page.goto(pageOf(replica));
  await ann.named('Ann Lovelace');
  await bob.named('Bob Hopper');
  for (const person of [ann, bob]) await person.online(['Ann Lovelace', 'Bob Hopper']);

  await bob.page.getByRole('button', { name: 'Sign out' }).click();
  await bob.signedOut();
  await ann.news('Bob Hopper left');
  await ann.online(['Ann Lovelace']);
  await ann.shot('5-after-restart');
  await bob.page.reload();
  await bob.signedOut();
});

test('what an Express application does to the session shows in all its tabs at once', { ...onlySesior, timeout: 60_000 }, async () => {
  const app = await ExpressApp.start(system);
  try {
    const [ann, bob] = [await Person.open(browser, pageOf(1)), await Person.open(browser, pageOf(2))];
    const [before, changed, ofBob] = [fresh(), fresh('by Express'), fresh()];
    await ann.register(before);
    await bob.register(ofBob);
    const tab = await ann.tab(pageOf(2));
    await tab.named(before);
    await tab.live(2);
    const cookie = (await ann.context.cookies()).find(({ name }) => name === 'connect.sid');
    const express = (path, json) => request(app.url + path, { method: 'POST', cookie: `${cookie.name}=${cookie.value}`, json });

    assert.equal((await express('/session', { userName: changed })).json.userName, changed);
    await ann.named(changed);
    await ann.news(`${before} was changed to ${changed}`);
    await tab.named(changed);
    await bob.named(ofBob);

    assert.equal((await express('/destroy')).status, 200);
    await ann.signedOut();
    await tab.signedOut();
    await bob.live(2);
  } finally {
    await app.stop();
  }
});

describe('the page', () => {
  test('complains about nothing', async () => {
    const ann = await Person.open(browser, pageOf(1));
    await ann.register(fresh());
    assert.deepEqual(ann.complaints, []);
  });

  test('says what is wrong with a name, beside the field', async () => {
    const [ann, bob] = [await Person.open(browser, pageOf(1)), await Person.open(browser, pageOf(2))];
    const [taken, free] = [fresh(), fresh()];
    await ann.register(taken);
    await bob.page.getByLabel('Your name').fill(taken);
    await bob.page.keyboard.press('Enter');
    await bob.page.getByText('User already exists').waitFor();
    assert.equal(await bob.page.getByLabel('Your name').getAttribute('aria-invalid'), 'true');
    await bob.shot('6-taken');
    await bob.register(free);
    await bob.rename(taken);
    await bob.page.getByText('User already exists').waitFor();
    await bob.named(free);
  });

  test('moves to another replica on request, and nobody sees it leave', async () => {
    const [ann, bob] = [await Person.open(browser, pageOf(1)), await Person.open(browser, pageOf(1))];
    const name = fresh();
    await ann.register(name);
    await bob.register(fresh());
    await ann.page.getByLabel(/^Replica 2/).check();
    await ann.live(2);
    await bob.online([name, await bob.page.locator('#me-name').textContent()]);
    await ann.page.reload();
    await ann.live(2);
    const other = fresh();
    await ann.rename(other);
    await bob.news(`${name} is now ${other}`);
    assert.equal(await bob.page.getByRole('listitem').filter({ hasText: new RegExp(`${name} (left|joined)`) }).count(), 0);
  });

  test('follows a rename and a sign-out in another tab of the same browser', async () => {
    const ann = await Person.open(browser, pageOf(1));
    await ann.register(fresh());
    const tab = new Person();
    tab.page = await ann.context.newPage();
    await tab.page.goto(pageOf(2));
    await tab.live(2);
    const name = fresh();
    await tab.rename(name);
    await ann.named(name);
    await tab.page.getByRole('button', { name: 'Sign out' }).click();
    await tab.signedOut();
    await ann.signedOut();
    await ann.page.getByText('Your session has ended').waitFor();
  });

  test('shows your devices in two browsers at once, and ends one from the other', async () => {
    const ann = await Person.open(browser, pageOf(1));
    await ann.register(fresh());
    const devices = (person) => person.page.getByRole('region', { name: /^Your devices/ }).getByRole('listitem');
    await devices(ann).getByText('this device').waitFor();
    assert.match(await devices(ann).first().textContent(), /Chrome on Linux.*127\.0\.0\.1.*active now/s);

    // By keyboard, as by hand.
    await ann.page.getByRole('button', { name: 'Add a device' }).focus();
    await ann.page.keyboard.press('Enter');
    const link = ann.page.getByLabel('Open this on the other device');
    await link.waitFor();
    await devices(ann).getByText('Link for another device').waitFor();
    const url = await link.inputValue();

    const phone = await Person.open(browser, url, {
      viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: 'dark',
      userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1',
    });
    await phone.page.getByText('This becomes another device').waitFor();
    assert.deepEqual(await phone.accessibilityProblems(), []);
    await phone.register(fresh('phone'));
    assert.equal(new URL(phone.page.url()).hash, '', 'the link is not left in the history');
    await devices(phone).getByText('Safari on iPhone').waitFor();
    await devices(ann).getByText('Safari on iPhone').waitFor();
    assert.equal(await devices(ann).count(), 2, 'the link became the phone');
    assert.equal(await link.isVisible(), false, 'and is offered no more');
    assert.deepEqual(await ann.accessibilityProblems(), []);
    await ann.shot('9-devices');
    await phone.shot('10-devices-phone', { fullPage: true });

    await ann.page.getByRole('button', { name: /^End Safari on iPhone/ }).click();
    await phone.page.getByText('ended from another of your devices').waitFor();
    await phone.signedOut();
    await phone.shot('11-ended-elsewhere');
    await ann.page.getByText('Ended: Safari on iPhone.').waitFor();
    assert.equal(await devices(ann).count(), 1);
    assert.equal(await ann.page.getByRole('button', { name: 'End all others' }).isVisible(), false);
    await ann.live();
  });

  test('shows a change of the session that came over REST', async () => {
    const ann = await Person.open(browser, pageOf(1));
    await ann.register(fresh());
    const name = fresh();
    await ann.page.evaluate((userName) => fetch('register', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ userName }) }), name);
    await ann.named(name);
  });

  test('can be used by keyboard alone', async () => {
    const ann = await Person.open(browser, pageOf(1));
    await ann.signedOut();
    const [first, second] = [fresh(), fresh()];
    await ann.page.keyboard.type(first);
    await ann.page.keyboard.press('Enter');
    await ann.live();
    const reach = async (label) => {
      for (let i = 0; i < 20; ++i) {
        await ann.page.keyboard.press('Tab');
        const here = await ann.page.evaluate(() => document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent);
        if (here.trim() === label) return;
      }
      assert.fail(`${label} cannot be reached with Tab`);
    };
    await reach('New name');
    await ann.page.keyboard.type(second);
    await ann.page.keyboard.press('Enter');
    await ann.named(second);
    await reach('Sign out');
    await ann.page.keyboard.press('Enter');
    await ann.signedOut();
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`breaks no rule for accessible pages, in ${colorScheme}`, async () => {
      const ann = await Person.open(browser, pageOf(1), { colorScheme, reducedMotion: 'reduce' });
      await ann.signedOut();
      assert.deepEqual(await ann.accessibilityProblems(), []);
      await ann.page.keyboard.press('Enter');
      await ann.page.getByText('Please enter a name').waitFor();
      assert.deepEqual(await ann.accessibilityProblems(), []);
      await ann.register(fresh());
      const bob = await Person.open(browser, pageOf(2));
      await bob.register(fresh());
      await ann.page.getByRole('log').getByText('joined').last().waitFor();
      assert.deepEqual(await ann.accessibilityProblems(), []);
    });
  }

  test('fits a phone, without scrolling sideways', async () => {
    const ann = await Person.open(browser, pageOf(1), { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
    await ann.register('W'.repeat(64));
    const overflow = () => ann.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(await overflow(), 0);
    for (const card of await ann.page.locator('.card:visible').all()) {
      assert.ok(await card.evaluate((e) => e.scrollWidth <= e.clientWidth), 'a card is wider than it is');
    }
    await ann.shot('7-phone', { fullPage: true });
  });

  test('goes on with another replica when its own is killed', { timeout: 60_000 }, async () => {
    const [ann, bob] = [await Person.open(browser, pageOf(2)), await Person.open(browser, pageOf(1))];
    const [name, other] = [fresh(), fresh()];
    await ann.register(name);
    await bob.register(other);
    await ann.live(2);
    system.signal('realtime', 'SIGKILL', 1);
    await ann.live(1);
    await ann.named(name);
    await ann.online([name, other]);
    await system.startEnded();
  });

  test('waits out an outage of Redis, and signs nobody out', { timeout: 60_000 }, async () => {
    const ann = await Person.open(browser, pageOf(1));
    const name = fresh();
    await ann.register(name);
    process.kill(await system.redisPid(), 'SIGKILL');
    await until('the outage', async () => (await fetch(`${system.rest}/verify-session`, { headers: { cookie: await cookieOf(ann) } })).status === 503);
    await ann.page.reload();
    await ann.page.getByText('The session service is away').waitFor();
    await ann.shot('8-away');
    await system.startEnded();
    await ann.named(name);
    await ann.live();
  });
});

async function cookieOf(person) {
  const [cookie] = await person.context.cookies(system.rest);
  return `${cookie.name}=${cookie.value}`;
}

test('the page on another origin works too, under a strict content security policy', { timeout: 60_000 }, async () => {
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
  let config;
  const server = createServer((req, res) => {
    const path = new URL(req.url, 'http://x').pathname;
    if (path === '/config.json') return res.setHeader('Content-Type', 'application/json').end(JSON.stringify(config));
    const sockets = config.realtime.map((url) => url.replace('http:', 'ws:'));
    const policy = [
      "default-src 'none'", "style-src 'self'", "img-src 'self'", `script-src 'self' ${config.realtime.join(' ')}`,
      `connect-src 'self' ${[config.api, ...config.realtime, ...sockets].join(' ')}`,
    ];
    res.setHeader('Content-Security-Policy', policy.join('; '));
    const file = path === '/' ? 'index.html' : path.slice(1);
    res.setHeader('Content-Type', types[extname(file)] ?? 'text/plain');
    createReadStream(join(pageFolder, file)).on('error', () => res.writeHead(404).end()).pipe(res);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const other = await System.start(['--allowed-origins', origin]);
  config = { api: `${other.rest}/`, realtime: other.realtime };

  const ann = await Person.open(browser, `${origin}/?replica=2`);
  const name = fresh();
  await ann.register(name);
  await ann.live(2);
  await ann.page.reload();
  await ann.named(name);
  await ann.live(2);
  await ann.page.getByRole('button', { name: 'Sign out' }).click();
  await ann.signedOut();
  assert.deepEqual(ann.complaints, []);

  await other.stop();
  server.close();
});
