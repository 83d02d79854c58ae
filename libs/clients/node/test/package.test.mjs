// The package as npm installs it: packed, unpacked somewhere else, and its example run from there.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { cookieOf, Service } from '../../../../tests/clients/service.mjs';
import sesiorModule from '../index.js';

const own = join(dirname(fileURLToPath(import.meta.url)), '..');

test('the package holds all it needs, and its example reads the cookie of a request', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sesior-package-'));
  let service;
  let example;
  try {
    const [{ filename, files }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', folder], { cwd: own, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    assert.ok(files.some(({ path }) => path === 'proto/sesior/session/v1/session.proto'));
    assert.ok(!files.some(({ path }) => path.startsWith('test/')));
    rmSync(join(own, 'proto'), { recursive: true });
    const modules = join(folder, 'node_modules');
    mkdirSync(modules);
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', modules]);
    execFileSync('mv', [join(modules, 'package'), join(modules, 'sesior')]);
    // What it depends on is installed here already.
    symlinkSync(join(own, 'node_modules'), join(modules, 'sesior/node_modules'));
    cpSync(join(own, 'examples/whoami.js'), join(folder, 'whoami.js'));

    service = await Service.start({ replicas: 1 });
    example = spawn(process.execPath, [join(folder, 'whoami.js'), service.addresses[0]], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [url] = await once(createInterface({ input: example.stdout }), 'line');
    const sesior = new sesiorModule.Sesior({ addresses: service.addresses });
    const { session } = await sesior.createSession({ data: { nick: 'ann' } });
    await sesior.updateSession(session.id, {}, { claims: [{ namespace: 'userName', value: 'ann', member: 'userName' }] });
    sesior.close();
    const ask = async (cookie) => (await fetch(url, { headers: cookie ? { cookie } : {} })).text();
    assert.equal(await ask(cookieOf(session.id)), 'You are ann.\n');
    assert.equal(await ask(), 'I do not know you.\n');
  } finally {
    example?.kill();
    await service?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
