// What session_calls (one folder up) measures, through express-session with connect-redis: a request that reads its
// session, and one that changes a member of it and publishes a broadcast. Prints rows of the same table.
//
// usage: node session_calls.mjs REDIS_URL REDIS_PID [SECONDS]      (npm ci first)
import { execFileSync, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';

const [redisUrl, redisPid, seconds = '2'] = process.argv.slice(2);
const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

if (process.send) {
  await serve();
} else {
  await measure();
}

// --- The server, a process of its own --------------------------------------------------------------------------------

async function serve() {
  const [{ default: express }, { default: session }, { RedisStore }, { createClient }] = await Promise.all([
    import('express'), import('express-session'), import('connect-redis'), import('redis'),
  ]);
  const redis = await createClient({ url: redisUrl }).connect();
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(session({ store: new RedisStore({ client: redis }), secret: 'keyboard cat', resave: false, saveUninitialized: false }));
  app.get('/get', (req, res) => res.json({ userName: req.session.userName }));
  // As careful as it can be there: saved before it is told.
  app.post('/update', (req, res, next) => {
    req.session.userName = req.query.name;
    req.session.save((error) => {
      if (error) return next(error);
      redis.publish('bench', JSON.stringify(['user:renamed', { user: { userName: req.query.name } }])).then(() => res.json({}), next);
    });
  });
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit(0));
}

// --- The load --------------------------------------------------------------------------------------------------------

function cpuMicros(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function call(port, agent, method, path, cookie) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, agent, method, path, headers: cookie ? { cookie } : {} }, (response) => {
      response.resume();
      response.on('end', () => (response.statusCode === 200 ? resolve(response) : reject(new Error(`status ${response.statusCode}`))));
    });
    request.on('error', reject);
    request.end();
  });
}

async function measure() {
  const server = fork(fileURLToPath(import.meta.url), process.argv.slice(2), { env: { ...process.env, NODE_ENV: 'production' } });
  const port = await new Promise((resolve) => server.once('message', resolve));
  const cookies = [];
  const setup = new http.Agent({ keepAlive: true });
  while (cookies.length < 256) {
    const made = await call(port, setup, 'POST', `/update?name=bench-${process.pid}-${cookies.length}`);
    cookies.push(made.headers['set-cookie'][0].split(';')[0]);
  }
  for (const operation of ['get', 'update']) {
    for (const inFlight of [1, 16, 256]) {
      const agent = new http.Agent({ keepAlive: true, maxSockets: inFlight });
      const latencies = [];
      const own = process.cpuUsage();
      const [service, redis, begin] = [cpuMicros(server.pid), cpuMicros(redisPid), performance.now()];
      const end = begin + Number(seconds) * 1000;
      await Promise.all(Array.from({ length: inFlight }, async (_, lane) => {
        for (let round = 0; performance.now() < end; ++round) {
          const start = performance.now();
          const path = operation === 'get' ? '/get' : `/update?name=bench-${process.pid}-${lane}-${round % 2 ? 'b' : 'a'}`;
          await call(port, agent, operation === 'get' ? 'GET' : 'POST', path, cookies[lane]);
          latencies.push((performance.now() - start) * 1000);
        }
      }));
      const calls = latencies.length;
      latencies.sort((a, b) => a - b);
      const percentile = (part) => Math.round(latencies[Math.floor(part * (calls - 1))]);
      const used = process.cpuUsage(own);
      const per = (micros) => (micros / calls).toFixed(1);
      const rate = Math.round(calls / ((performance.now() - begin) / 1000));
      console.log(`| ${operation} | express | ${inFlight} | ${rate} | ${percentile(0.5)} | ${percentile(0.99)} | ${per(used.user + used.system)} | ${per(cpuMicros(server.pid) - service)} | ${per(cpuMicros(redisPid) - redis)} |`);
      agent.destroy();
    }
  }
  setup.destroy();
  server.disconnect();
}
