// The example "notes" (deploy/examples/express), started by its one command: signed in by Express's form, live over
// sesior-realtime, and signed out of both at once. Screenshots: tests/artifacts.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Person, launch } from './support/chromium.mjs';
import { Peer } from './support/peer.mjs';
import { reference } from './support/system.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const python = join(root, 'libs/clients/python');
const options = reference ? { skip: 'the example is an application on SESIOR' } : { timeout: 120_000 };

class Notes {
  static async start() {
    const notes = new Notes();
    notes.folder = mkdtempSync(join(tmpdir(), 'sesior-notes-'));
    notes.process = spawn('setpriv', ['--pdeathsig', 'TERM', '--', join(root, 'deploy/examples/express/run'), '--no-build', '--port', '0', '--data-dir', notes.folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    notes.ended = new Promise((resolve) => notes.process.once('exit', resolve));
    await new Promise((resolve, reject) => {
      notes.ended.then((code) => reject(new Error(`notes did not start (exit code ${code})`)));
      createInterface(notes.process.stdout).on('line', (line) => {
        const [, what, where] = /^ +(Page|Realtime|Session) +(.*)$/.exec(line) ?? [];
        if (what) notes[what.toLowerCase()] = where.split(/ +/);
        if (line.includes('Ctrl-C')) resolve();
      });
    });
    return notes;
  }

  get url() {
    return this.page[0];
  }

  async stop() {
    this.process.kill('SIGTERM');
    const code = await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
    return code;
  }
}

let notes;
let browser;
before(async () => {
  if (!reference) [notes, browser] = await Promise.all([Notes.start(), launch()]);
});
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
});
after(async () => {
  await browser?.close();
  if (notes) assert.equal(await notes.stop(), 0);
});

// Without animations: what is half faded in cannot be read well, says axe.
const open = (settings) => Person.open(browser, notes.url, { reducedMotion: 'reduce', ...settings });

async function signIn(person, name, password = `the password of ${name}`) {
  await person.page.getByLabel('Name').fill(name);
  await person.page.getByLabel('Password').fill(password);
  await person.page.getByRole('button', { name: 'Sign in' }).click();
}

const live = (person) => person.page.getByText('Live', { exact: true }).waitFor();
const signedOut = (person) => person.page.getByRole('button', { name: 'Sign in' }).waitFor();
const note = (person, text) => person.page.getByRole('listitem').filter({ hasText: text });
const texts = (person) => person.page.locator('.note p').allTextContents();

async function write(person, text) {
  await person.page.getByLabel('New note').fill(text);
  await person.page.getByRole('button', { name: 'Add note' }).click();
  await note(person, text).waitFor();
}

async function pick(person, color) {
  const changed = person.page.waitForResponse((response) => response.url().endsWith('/color'));
  await person.page.getByLabel(color).check();
  assert.equal((await changed).status(), 204);
}

test('what one browser writes, the other browsers of the same user show, and nobody else', options, async () => {
  const [desk, phone, other] = [
    await open(),
    await open({ viewport: { width: 390, height: 800 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' }),
    await open(),
  ];
  await signedOut(desk);
  await desk.shot('notes-1-sign-in');
  for (const [person, name] of [[desk, 'Ann'], [phone, 'ann'], [other, 'Bob']]) {
    await signIn(person, name, 'the password of Ann');
    await live(person);
  }
  // Two browsers, two replicas.
  const replicaOf = (person) => person.page.locator('#notes').getAttribute('data-live');
  assert.notEqual(await replicaOf(desk), await replicaOf(phone));

  await pick(desk, 'mint');
  await write(desk, 'Bread, olives, the good salt');
  await note(phone, 'the good salt').waitFor();
  await phone.page.getByText('A note from another browser').waitFor();
  await pick(phone, 'sky');
  await write(phone, 'Call the printer about the blue.\nAsk for Ida.');
  await note(desk, 'Ask for Ida').waitFor();
  await pick(desk, 'lilac');
  await write(desk, '<b>Not bold</b> & that is right');
  await pick(desk, 'rose');
  await write(desk, 'Saturday: the long walk by the river, home before the rain');
  await pick(desk, 'lemon');
  await write(desk, 'Library books are due on the 3rd');
  await note(phone, 'Library books').waitFor();
  assert.deepEqual(await texts(phone), await texts(desk));
  assert.equal((await texts(desk)).length, 5);

  await desk.shot('notes-2-desk');
  await phone.shot('notes-3-phone');
  await note(phone, 'Library books').getByRole('button', { name: 'Throw away' }).click();
  await note(desk, 'Library books').waitFor({ state: 'detached' });

  await write(other, 'of Bob alone');
  assert.deepEqual(await texts(other), ['of Bob alone']);
  await desk.page.reload();
  await live(desk);
  assert.equal((await texts(desk)).length, 4);
  for (const person of [desk, phone, other]) {
    assert.deepEqual(person.complaints, []);
    assert.deepEqual(await person.accessibilityProblems(), []);
  }
});

test('a job in Python tells the browsers of one user', options, async () => {
  const people = [];
  for (const name of ['Fay', 'Gus']) {
    const person = await open();
    await signIn(person, name);
    await live(person);
    await person.page.evaluate(() => {
      const news = document.getElementById('news');
      globalThis.heard = [];
      new MutationObserver(() => news.textContent && globalThis.heard.push(news.textContent)).observe(news, { childList: true });
    });
    people.push(person);
  }
  const { accounts } = JSON.parse(readFileSync(join(notes.folder, 'notes.json'), 'utf8'));
  const { id } = Object.values(accounts).find(({ name }) => name === 'Fay');
  const job = (...words) =>
    promisify(execFile)('/usr/bin/python3', [join(python, 'examples/notify.py'), notes.session.join(','), 'notice', ...words], {
      env: { ...process.env, PYTHONPATH: join(python, 'src') },
    });
  await job('Your export is ready', id);
  await people[0].page.getByText('Your export is ready').waitFor();
  await job('Good night');
  const heard = [];
  for (const { page } of people) {
    await page.waitForFunction(() => globalThis.heard.includes('Good night'));
    heard.push(await page.evaluate(() => globalThis.heard));
  }
  assert.deepEqual(heard, [['Your export is ready', 'Good night'], ['Good night']]);
});

test('a change of the session reaches the other tab of the browser', options, async () => {
  const desk = await open();
  await signIn(desk, 'Cleo');
  await live(desk);
  const tab = new Person();
  tab.page = await desk.context.newPage();
  await tab.page.goto(notes.url);
  await live(tab);
  await pick(desk, 'sky');
  await tab.page.waitForFunction(() => document.querySelector('#colors input[value=sky]').checked);
});

test('signing out in Express ends the session, its sockets in every tab, and both ways in', options, async () => {
  const [desk, phone] = [await open(), await open()];
  for (const person of [desk, phone]) {
    await signIn(person, 'Dora');
    await live(person);
  }
  const tab = new Person();
  tab.page = await desk.context.newPage();
  await tab.page.goto(notes.url);
  await live(tab);
  const [{ name, value }] = await desk.context.cookies(notes.url);
  const cookie = `${name}=${value}`;
  const socket = await Peer.open(notes.realtime[1], cookie);
  const ask = () => fetch(new URL('/notes', notes.url), { headers: { cookie } });
  assert.equal((await ask()).status, 200);

  await desk.page.getByRole('button', { name: 'Sign out' }).click();
  await signedOut(desk);
  await signedOut(tab); // by itself: its socket was told
  assert.deepEqual(await socket.next('session:ended'), { reason: 'logout' });
  assert.equal(await socket.gone(), 'io server disconnect');
  assert.equal((await ask()).status, 401);
  await assert.rejects(Peer.open(notes.realtime[0], cookie), /Not authorized/);

  // The other browser has a session of its own.
  await write(phone, 'still here');
});

test('a wrong password is said, and a socket without a session is turned away', options, async () => {
  const desk = await open();
  await signIn(desk, 'Eve', 'right');
  await live(desk);
  const thief = await open();
  await signIn(thief, 'Eve', 'wrong');
  await thief.page.getByText('That is not the password of this name').waitFor();
  assert.deepEqual(await thief.accessibilityProblems(), []);
  await assert.rejects(Peer.open(notes.realtime[0], ''), /Not authorized/);
});
