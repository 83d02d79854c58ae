// One replica of the example application on express, express-session, connect-redis and socket.io: the same contract
// as SESIOR's, written as a careful Node team would. Every replica serves REST, the page and the sockets.
//
// usage: node server.mjs --listen HOST:PORT --redis-url URL --cookie-secret S[,OLD] [--web-root DIR]
//                        [--realtime-urls URL[,URL]] [--allowed-origins O[,O]] [--client-bundle-dir DIR]
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { createAdapter } from '@socket.io/redis-adapter';
import { RedisStore } from 'connect-redis';
import cors from 'cors';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';
import { Server } from 'socket.io';

import { BAD_NAME, NAME_TAKEN, validName } from './names.mjs';
import { Registry, registryScripts } from './registry.mjs';

const LINGER_MS = 2000;

const option = { type: 'string' };
const { values: config } = parseArgs({
  options: {
    listen: option, 'redis-url': option, 'cookie-secret': option, 'web-root': option,
    'realtime-urls': option, 'allowed-origins': option, 'client-bundle-dir': option,
  },
});
const list = (text) => (text ? text.split(',') : []);
const [host, port] = config.listen.split(/:(?=\d+$)/);
const allowedOrigins = new Set(list(config['allowed-origins']));

// --- Redis and sessions ----------------------------------------------------------------------------------------------

// Without the offline queue a command fails at once while Redis is away, which becomes a 503.
const redis = createClient({
  url: config['redis-url'],
  disableOfflineQueue: true,
  socket: { reconnectStrategy: (tries) => Math.min(50 * tries, 1000) },
  scripts: registryScripts,
});
redis.on('error', (error) => console.error(`event=redis_error error="${error.message}"`));
// The adapter looks at no error: its clients queue instead of failing, and what was under way must not end the process.
process.on('unhandledRejection', (error) => console.error(`event=unhandled error="${error.message}"`));
const publisher = redis.duplicate({ disableOfflineQueue: false });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) client.on('error', () => {});
await Promise.all([redis, publisher, subscriber].map((client) => client.connect()));

const store = new RedisStore({ client: redis });
const registry = new Registry(redis, store);
const sessions = session({ store, secret: list(config['cookie-secret']), resave: false, saveUninitialized: false });

// express-session replaces req.session when it reloads.
const reload = (req) =>
  new Promise((resolve, reject) => req.session.reload((error) => (error ? reject(error) : resolve(req.session))));
const save = (s) => new Promise((resolve, reject) => s.save((error) => (error ? reject(error) : resolve())));
const destroy = (s) => new Promise((resolve, reject) => s.destroy((error) => (error ? reject(error) : resolve())));
const regenerate = (req) =>
  new Promise((resolve, reject) => req.session.regenerate((error) => (error ? reject(error) : resolve())));

// Changes the name of a session that has one. The caller holds the session's turn. Null when the name is taken.
async function renameSession(s, userName) {
  const oldUserName = s.userName;
  if (userName !== oldUserName) {
    if (!(await registry.claim(userName, s.id))) return null;
    s.userName = userName;
    await save(s);
    await Promise.all([registry.confirm(userName, s.id), registry.release(oldUserName, s.id)]);
  }
  return { oldUserName, user: { userName } };
}

// --- HTTP ------------------------------------------------------------------------------------------------------------

const app = express();
const server = createServer(app);
app.disable('x-powered-by');
app.set('etag', false);

function originAllowed(req) {
  const origin = req.headers.origin;
  return origin === undefined || origin === `http://${req.headers.host}` || allowedOrigins.has(origin);
}

app.use(cors({ origin: [...allowedOrigins], credentials: true, methods: 'GET,PUT,PATCH,POST,DELETE' }));
app.use((req, res, next) => {
  if (req.method === 'GET' || req.method === 'HEAD' || originAllowed(req)) return next();
  res.status(403).json({ error: 'origin not allowed' });
});
app.get('/livez', (req, res) => res.send('ok'));
app.get('/readyz', (req, res) => res.status(redis.isReady ? 200 : 503).send(redis.isReady ? 'ready' : 'redis is away'));
app.get('/config.json', (req, res) => res.json({ realtime: list(config['realtime-urls']) }));
if (config['web-root']) app.use(express.static(config['web-root']));
else app.get('/', (req, res) => res.type('text/plain').send('SESIOR reference application'));

app.use(sessions);
app.use(express.json(), express.urlencoded({ extended: false }));

app.get('/verify-session', (req, res) => {
  const { userName } = req.session;
  res.json(userName ? { sessionVerified: true, user: { userName } } : { sessionVerified: false });
});

app.post('/register', async (req, res) => {
  const refuse = (status, error) => res.status(status).json({ membershipResolved: false, error });
  const userName = validName(req.body?.userName);
  if (userName === null) return refuse(400, BAD_NAME);

  if (req.session.userName) {
    const renamed = await inTurn(req.session.id, async () => renameSession(await reload(req), userName));
    if (!renamed) return refuse(409, NAME_TAKEN);
    const changed = renamed.oldUserName !== userName;
    if (changed && (await registry.renameOnline(req.session.id, userName))) io.emit('user:renamed', renamed);
  } else {
    const { id: oldSid, cookie, ...data } = req.session;
    if (!(await registry.claim(userName, oldSid))) return refuse(409, NAME_TAKEN);
    await regenerate(req);
    Object.assign(req.session, data, { userName });
    await save(req.session);
    await registry.confirm(userName, oldSid, req.session.id);
    io.in(roomOf(oldSid)).disconnectSockets(true);
  }
  res.json({ membershipResolved: true, user: { userName } });
});

app.get('/users', async (req, res) => {
  const wanted = req.query.limit === undefined ? 1000 : Number(req.query.limit);
  if (!Number.isInteger(wanted) || wanted < 1) return res.status(400).json({ error: 'limit must be a positive integer' });
  const { users, total } = await registry.page(req.query.after, Math.min(wanted, 1000));
  res.set('X-Total-Count', String(total)).json({ users });
});

const etagOf = (data) => `"${createHash('sha1').update(JSON.stringify(data)).digest('hex')}"`;
const known = (req, res, next) => {
  const { id, cookie, ...data } = req.session;
  if (Object.keys(data).length === 0) return res.status(401).json({ error: 'no session' });
  req.data = data;
  next();
};
const CLAIMED_MEMBERS = ['userName', 'cookie'];

app.get('/session', known, (req, res) => {
  res.set('ETag', etagOf(req.data)).json(req.data);
});

app.patch('/session', known, express.json({ type: 'application/merge-patch+json' }), async (req, res) => {
  const patch = req.body;
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) {
    return res.status(400).json({ error: 'the body must be a JSON object' });
  }
  const claimed = CLAIMED_MEMBERS.find((member) => Object.hasOwn(patch, member));
  if (claimed) return res.status(400).json({ error: `${claimed} cannot be changed here` });
  const expected = req.get('If-Match');
  if (expected && expected !== '*' && expected !== etagOf(req.data)) {
    return res.status(412).json({ error: 'the session has changed' });
  }
  const merged = mergePatch(req.data, patch);
  for (const member of Object.keys(req.data)) if (!Object.hasOwn(merged, member)) delete req.session[member];
  Object.assign(req.session, merged);
  await save(req.session);
  res.set('ETag', etagOf(merged)).json(merged);
});

// RFC 7396.
function mergePatch(target, patch) {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const result = target !== null && typeof target === 'object' && !Array.isArray(target) ? { ...target } : {};
  for (const [member, value] of Object.entries(patch)) {
    if (value === null) delete result[member];
    else result[member] = mergePatch(result[member], value);
  }
  return result;
}

app.post('/logout', async (req, res) => {
  const { id: sid, userName } = req.session;
  await destroy(req.session);
  if (userName) await registry.release(userName, sid);
  io.in(roomOf(sid)).disconnectSockets(true);
  res.clearCookie('connect.sid', { httpOnly: true }).status(204).end();
});

app.use((req, res) => res.status(404).json({ error: 'not found' }));
app.use((error, req, res, next) => {
  if (res.headersSent) return next(error);
  const status = error.status ?? error.statusCode;
  const message = error.type === 'entity.parse.failed' ? 'the body is not valid JSON' : error.message;
  if (status < 500) {
    const body = req.path === '/register' ? { membershipResolved: false, error: message } : { error: message };
    return res.status(status).json(body);
  }
  console.error(`event=request_failed error="${error.message}"`);
  res.status(503).set('Retry-After', '1').json({ error: 'the session store is away' });
});

// --- Sockets ---------------------------------------------------------------------------------------------------------

const io = new Server(server, {
  adapter: createAdapter(publisher, subscriber),
  cors: { origin: [...allowedOrigins], credentials: true },
  allowRequest: (req, done) => done(null, originAllowed(req)),
});
const roomOf = (sid) => `session:${sid}`;

// The session is loaded once, with the handshake; each event that needs it loads it again.
io.engine.use((req, res, next) => (req._query.sid === undefined ? sessions(req, res, next) : next()));
io.use(async (socket, next) => {
  try {
    await reload(socket.request);
    next();
  } catch {
    next(new Error('Not authorized'));
  }
});

// Runs the tasks of one session one after the other, in the order they came.
const turns = new Map();
function inTurn(sid, task) {
  const before = turns.get(sid) ?? Promise.resolve();
  const turn = before.then(task, task);
  turns.set(sid, turn);
  const forget = () => turns.get(sid) === turn && turns.delete(sid);
  turn.then(forget, forget);
  return turn;
}

io.on('connection', (socket) => {
  const sid = socket.request.session.id;
  let announced = false;
  socket.join(roomOf(sid));

  // One acknowledged event. The action gets the session as it is now and the argument, and answers [data, broadcast?]
  // or throws a Refusal.
  const handle = (event, action) =>
    socket.on(event, (argument, acknowledge) => {
      const answer = typeof acknowledge === 'function' ? acknowledge : () => {};
      inTurn(sid, async () => {
        const current = await reload(socket.request);
        if (!current.userName) throw new Refusal('Not registered');
        return action(current, argument);
      }).then(
        ([data, broadcast]) => {
          answer(null, data);
          if (broadcast) socket.broadcast.emit(...broadcast);
        },
        (error) => {
          if (!(error instanceof Refusal)) console.error(`event=socket_event_failed error="${error.message}"`);
          answer(error instanceof Refusal ? error.message : 'Unavailable', undefined);
        },
      );
    });

  handle('user:connected', async (s, name) => {
    if (name !== s.userName) throw new Refusal('Not your name');
    const first = !announced && (await registry.addSocket(sid, name));
    announced = true;
    return [await registry.online(name), first ? ['user:joined', { userName: name }] : null];
  });

  handle('user:rename', async (s, value) => {
    const userName = validName(value);
    if (userName === null) throw new Refusal(BAD_NAME);
    const renamed = await renameSession(s, userName);
    if (!renamed) throw new Refusal(NAME_TAKEN);
    if (renamed.oldUserName === userName) return [renamed];
    await registry.renameOnline(sid, userName);
    return [renamed, ['user:renamed', renamed]];
  });

  socket.on('disconnect', async (reason) => {
    if (!announced) return;
    const explicit = reason === 'client namespace disconnect' || reason === 'server namespace disconnect';
    const drop = async () => {
      const name = await registry.dropIfGone(sid);
      if (name) io.emit('user:left', name);
    };
    try {
      if ((await registry.removeSocket(sid)) > 0) return;
      if (explicit) await drop();
      else setTimeout(() => drop().catch(() => {}), LINGER_MS);
    } catch (error) {
      console.error(`event=leave_failed error="${error.message}"`);
    }
  });
});

class Refusal extends Error {}

// --- Start and stop --------------------------------------------------------------------------------------------------

await registry.start((names) => names.forEach((name) => io.emit('user:left', name)));
server.listen(Number(port), host, () => {
  const { address, port: bound } = server.address();
  console.error(`event=listening name=http addr=${address}:${bound}`);
});

async function stop() {
  (await registry.stop()).forEach((name) => io.emit('user:left', name));
  await io.close();
  for (const client of [redis, publisher, subscriber]) client.destroy();
}
process.once('SIGTERM', () => stop().finally(() => process.exit(0)));
process.once('SIGINT', () => stop().finally(() => process.exit(0)));
