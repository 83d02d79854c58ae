// Starts SESIOR by deploy/run, then the application beside it, and ends both. ./run calls this.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { freePorts, isFree } from '../../lib/ports.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const HOST = '127.0.0.1';
const DEFAULT_PORT = 3000;
const USAGE = `usage: deploy/examples/express/run [options]
  --port P       where the page is served; 0: any free port (default ${DEFAULT_PORT}, and any free one when that is taken)
  --data-dir D   notes, accounts, Redis data, the cookie secret, logs (default deploy/data/notes)
  --no-build     install and build nothing
  --help`;

async function choosePort(text) {
  if (text !== undefined && !(/^\d{1,5}$/.test(text) && Number(text) <= 65_535)) throw new Error(`--port must be a number from 0 to 65535, not "${text}"`);
  const port = Number(text ?? DEFAULT_PORT);
  if (port !== 0 && (await isFree(port, HOST))) return port;
  if (port !== 0 && text !== undefined) throw new Error(`port ${port} is taken; choose another --port, or 0 for any free one`);
  return (await freePorts(1))[0];
}

// deploy/run, once it is ready, with the line that it prints then. Should this process die, the kernel tells it to stop.
async function startSesior(flags) {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', join(here, '../../run'), '--no-build', '--json', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true, // Ctrl-C is for this process, which ends the other in its turn
  });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  const line = new Promise((found) => createInterface(child.stdout).once('line', found));
  return { line: Promise.race([line, ended.then(() => null)]), ended, stop };
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { port: text, 'data-dir': text, 'no-build': { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) return console.log(USAGE);
  const port = await choosePort(values.port);
  const dataDir = resolve(values['data-dir'] ?? join(here, '../../data/notes'));
  mkdirSync(dataDir, { recursive: true });

  const asked = new Promise((wake) => ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => process.on(signal, wake)));
  const sesior = await startSesior([
    '--port-base', '0', '--data-dir', dataDir, '--rest', '1', '--session', '2', '--realtime', '2',
    // The page comes from Express, which is another origin for the sockets.
    '--allowed-origins', `http://${HOST}:${port},http://localhost:${port}`,
    '--session-changed-members', 'color',
  ]);
  const line = await Promise.race([sesior.line, asked.then(() => null)]);
  if (line === null) {
    await sesior.stop();
    throw new Error('SESIOR did not start');
  }

  const { notesApp } = createRequire(import.meta.url)('./app.js');
  const { session, realtime } = JSON.parse(line);
  const { app, close } = notesApp({
    session,
    realtime,
    secret: readFileSync(join(dataDir, 'cookie-secret'), 'utf8').trim(),
    file: join(dataDir, 'notes.json'),
  });
  const server = createServer(app);
  await new Promise((done, failed) => server.once('error', failed).listen(port, HOST, done));
  console.log(`
Notes is running.

  Page      http://${HOST}:${port}/
  Realtime  ${realtime.join('  ')}
  Session   ${session.join('  ')}
  Data      ${dataDir}

Sign in from two browsers with the same name: what one writes, the other shows. Ctrl-C stops everything.`);
  const died = await Promise.race([asked.then(() => false), sesior.ended.then(() => true)]);
  server.close();
  server.closeAllConnections();
  close();
  await sesior.stop();
  if (died) throw new Error('SESIOR has ended');
  console.log('Stopped.');
}

main().catch((error) => {
  console.error(`notes: ${error.message}`);
  process.exitCode = 1;
});
