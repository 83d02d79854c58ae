// deploy/run itself (or the runner of the reference application): what it prints, and that it ends what it starts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { COMMAND, System, allGone, isAlive, onlySesior, reference } from './support/system.mjs';
import { request } from './support/http.mjs';
import { until } from './support/wait.mjs';

const folders = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
function folder() {
  folders.push(mkdtempSync(join(tmpdir(), 'sesior-run-')));
  return folders.at(-1);
}

// Runs it with these flags; `output` grows, `exit` resolves with the exit code or the signal.
function run(...flags) {
  const child = spawn(COMMAND[0], [...COMMAND.slice(1), ...flags]);
  const result = { child, out: '', err: '' };
  child.stdout.on('data', (data) => (result.out += data));
  child.stderr.on('data', (data) => (result.err += data));
  result.exit = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  return result;
}

// Every process below `pid`, as the kernel sees it.
async function childrenOf(pid) {
  const { readFileSync } = await import('node:fs');
  const read = (id) => {
    try {
      return readFileSync(`/proc/${id}/task/${id}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  };
  const direct = read(pid);
  return [...direct, ...(await Promise.all(direct.map(childrenOf))).flat()];
}

describe('--json', () => {
  test('prints one line with the addresses and process ids, and nothing else', async () => {
    const running = run('--json', '--port-base', '0', '--data-dir', folder(), '--session', '1', '--realtime', '3');
    await until('the line', () => running.out.includes('\n'), 30_000);
    const line = JSON.parse(running.out);
    assert.deepEqual(Object.keys(line), ['rest', 'realtime', 'session', 'redis', 'pids']);
    assert.deepEqual(Object.keys(line.pids), ['rest', 'realtime', 'session', 'redis']);
    assert.equal(line.realtime.length, 3);
    assert.equal(line.pids.realtime.length, 3);
    if (!reference) assert.equal(line.session.length, 1);
    for (const pid of Object.values(line.pids).flat()) assert.ok(isAlive(pid));
    assert.equal((await request(`${line.rest}/verify-session`)).status, 200);
    running.child.kill('SIGINT');
    assert.equal(await running.exit, 0);
    assert.equal(running.out.trimEnd().split('\n').length, 1);
    await allGone(line.pids);
  });

  test('uses the Redis that it is given', async () => {
    const own = await System.start();
    const running = run('--json', '--port-base', '0', '--data-dir', folder(), '--redis-url', own.redis);
    await until('the line', () => running.out.includes('\n'), 30_000);
    const line = JSON.parse(running.out);
    assert.equal(line.redis, own.redis);
    assert.deepEqual(line.pids.redis, []);
    running.child.kill('SIGTERM');
    assert.equal(await running.exit, 0);
    assert.ok(isAlive(own.pids.redis[0]));
    await own.stop();
  });
});

describe('for people', () => {
  test('says where everything is, and says good-bye on Ctrl-C', async () => {
    const running = run('--port-base', '0', '--data-dir', folder());
    await until('the addresses', () => running.out.includes('Ctrl-C'), 30_000);
    const page = /Page and REST +(\S+)/.exec(running.out)[1];
    assert.equal((await request(page)).status, 200);
    const children = await childrenOf(running.child.pid);
    assert.ok(children.length >= 3);
    running.child.kill('SIGINT');
    assert.equal(await running.exit, 0);
    assert.match(running.out, /Stopped\.\n$/);
    await allGone({ children });
  });

  test('starts a process again that has ended', async () => {
    const running = run('--port-base', '0', '--data-dir', folder());
    await until('the addresses', () => running.out.includes('Ctrl-C'), 30_000);
    const page = /Page and REST +(\S+)/.exec(running.out)[1];
    const before = await childrenOf(running.child.pid);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until('REST to be back', () => request(`${page}verify-session`).then((a) => a.status === 200, () => false), 30_000);
    running.child.kill('SIGTERM');
    assert.equal(await running.exit, 0);
  });
});

describe('a port that is taken', () => {
  test('is named', async () => {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    const running = run('--json', '--port-base', String(port), '--data-dir', folder());
    assert.equal(await running.exit, 2);
    assert.match(running.err, new RegExp(`port ${port} is taken`));
    assert.equal(running.out, '');
    server.close();
  });
});

describe('wrong flags', () => {
  for (const flags of [['--session', '0'], ['--realtime', 'x'], ['--port-base', '70000'], ['--no-such-flag'], ['extra']]) {
    test(`${flags.join(' ')} is refused, and named`, async () => {
      const running = run(...flags, '--data-dir', folder());
      assert.equal(await running.exit, 2);
      assert.ok(running.err.includes(flags[0]), running.err);
    });
  }
});

describe('one data folder', () => {
  test('serves one system at a time', onlySesior, async () => {
    const data = folder();
    const first = run('--json', '--port-base', '0', '--data-dir', data);
    await until('the line', () => first.out.includes('\n'), 30_000);
    const second = run('--json', '--port-base', '0', '--data-dir', data);
    assert.equal(await second.exit, 1);
    assert.match(second.err, /already running/);
    first.child.kill('SIGTERM');
    assert.equal(await first.exit, 0);
  });
});

describe('the end', () => {
  test('by SIGTERM at any moment of the start leaves nothing behind', { timeout: 120_000 }, async () => {
    const data = folder();
    for (const moment of [0, 30, 60, 100, 150, 250, 400, 700]) {
      const running = run('--json', '--port-base', '0', '--data-dir', data);
      const children = new Set();
      const until = Date.now() + moment;
      do for (const pid of await childrenOf(running.child.pid)) children.add(pid);
      while (Date.now() < until && (await new Promise((resolve) => setTimeout(resolve, 5, true))));
      running.child.kill('SIGTERM');
      await running.exit;
      await allGone({ children: [...children] });
    }
  });

  test('by SIGKILL takes everything along', async () => {
    const running = run('--json', '--port-base', '0', '--data-dir', folder());
    await until('the line', () => running.out.includes('\n'), 30_000);
    const { pids } = JSON.parse(running.out);
    running.child.kill('SIGKILL');
    await running.exit;
    await allGone(pids);
  });
});
