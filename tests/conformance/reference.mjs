// The conformance application on the reference server itself: what `serve` is, made of socket.io from npm. The cases of
// this folder are run against it too, which keeps them honest.
// usage: node reference.mjs --engineio-port P --socketio-port Q [--ping-interval-ms N] [--ping-timeout-ms N]
// [--parser json|msgpack]     (port 0: any free one)
// Says on standard error where it listens, as our server does.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Server as EngineServer } from 'engine.io';
import { Server } from 'socket.io';
import msgpackParser from 'socket.io-msgpack-parser';

const { values } = parseArgs({
  options: {
    'engineio-port': { type: 'string', default: '0' }, 'socketio-port': { type: 'string', default: '0' },
    'ping-interval-ms': { type: 'string', default: '300' }, 'ping-timeout-ms': { type: 'string', default: '200' },
    parser: { type: 'string', default: 'json' },
  },
});

// The same values as in server.cpp.
const engineOptions = {
  pingInterval: Number(values['ping-interval-ms']), pingTimeout: Number(values['ping-timeout-ms']), upgradeTimeout: 1000,
  maxHttpBufferSize: 1_000_000,
  allowRequest: (req, done) => done(null, [undefined, `http://${req.headers.host}`].includes(req.headers.origin)),
};

const engineHttp = createServer();
const engine = new EngineServer(engineOptions);
engine.attach(engineHttp, { path: '/engine.io/' });
engine.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));

const socketHttp = createServer();
const io = new Server(socketHttp, { ...engineOptions, connectTimeout: 1000, cleanupEmptyChildNamespaces: true, ...(values.parser === 'msgpack' && { parser: msgpackParser }) });
io.on('connection', (socket) => {
  socket.emit('auth', socket.handshake.auth);
  socket.on('message', (...args) => socket.emit('message-back', ...args));
  socket.on('message-with-ack', (...args) => args.pop()(...args));
});
io.of('/custom').on('connection', (socket) => socket.emit('auth', socket.handshake.auth));
io.of('/clients').on('connection', (socket) => {
  socket.on('echo', (...args) => socket.emit('echoed', ...args));
  socket.on('ask', (...args) => args.pop()(...args));
  socket.on('ask me', (...args) =>
    socket.timeout(5000).emit('question', ...args, (late, ...answer) => (late ? socket.emit('not answered') : socket.emit('answered', answer))),
  );
  socket.on('join', (room, done) => (socket.join(room), done(true)));
  socket.on('leave', (room, done) => (socket.leave(room), done(true)));
  socket.on('say', (room, what) => (room === null ? socket.broadcast : socket.to(room)).emit('said', what));
  socket.on('kick', (close) => socket.disconnect(close));
  socket.on('count', (...args) => args.pop()(args.length));
});
io.of('/stuck').use(() => {});

// The namespaces of hub_app.cpp.
const target = (socket, spec) => {
  let chosen = spec.from === 'nsp' ? io.of('/hub') : socket.broadcast;
  for (const room of spec.to ?? []) chosen = chosen.to(room);
  for (const room of spec.except ?? []) chosen = chosen.except(room);
  if (spec.local) chosen = chosen.local;
  if (spec.volatile) chosen = chosen.volatile;
  return chosen;
};
let log = [];
io.of('/hub').on('connection', (socket) => {
  const name = socket.handshake.auth.name ?? '';
  socket.data.name = name;
  const rooms = () => [...socket.rooms].filter((room) => room !== socket.id);
  socket.onAny((event) => event !== 'log' && log.push(`any ${name} ${event}`));
  socket.onAnyOutgoing((event, ...args) =>
    log.push(`out ${name} ${event}${JSON.stringify(args.filter((arg) => typeof arg !== 'function'))}`),
  );
  socket.use(([event], next) => next(event === 'forbidden' ? new Error('not you') : undefined));
  socket.on('error', (error) => log.push(`error ${name} ${error.message}`));
  socket.on('disconnecting', (reason) => log.push(`disconnecting ${name} ${reason} ${rooms()}`));
  socket.on('disconnect', (reason) => log.push(`disconnect ${name} ${reason} ${socket.rooms.size}`));
  socket.on('log', (ack) => ack?.(log.splice(0)));
  socket.on('bye', (close) => socket.disconnect(close));

  socket.on('join', (room, ack) => (socket.join(room), ack?.(true)));
  socket.on('leave', (room, ack) => (socket.leave(room), ack?.(true)));
  socket.on('rooms', (ack) => ack?.(rooms().sort()));
  socket.on('send', (spec, value, ack) => (target(socket, spec).emit('sent', value), ack?.(true)));
  socket.on('fetch', async (spec, ack) => {
    const sockets = await target(socket, spec).fetchSockets();
    ack?.(sockets.map((s) => `${JSON.stringify(s.data)} ${s.rooms.size}${s.rooms.has(s.id) ? ' own' : ''}`).sort());
  });
  socket.on('move', (spec, join, leave, ack) => {
    target(socket, spec).socketsJoin(join);
    for (const room of leave) target(socket, spec).socketsLeave(room);
    ack?.(true);
  });
  socket.on('kick', (spec, close) => target(socket, spec).disconnectSockets(close));
  socket.on('ask', (ms, value, ack) =>
    socket.timeout(ms).emit('question', value, (error, ...answer) => (error ? ack?.(error.message) : ack?.(null, ...answer))),
  );
  socket.on('ask all', (spec, ms, value, ack) =>
    target(socket, spec)
      .timeout(ms)
      .emit('question', value, (error, answers) => ack?.(error?.message ?? null, answers)),
  );
});
io.of('/private')
  .use((socket, next) => {
    const { token } = socket.handshake.auth;
    if (token === 'good') return next();
    if (!token) return next(new Error('no token'));
    next(Object.assign(new Error('wrong token'), { data: { code: 7, hint: ['a'] } }));
  })
  .use((socket, next) => setTimeout(next, 50))
  .on('connection', (socket) => socket.emit('welcome'));
const sayName = (socket) => socket.emit('here', socket.nsp.name);
io.of(/^\/dynamic-\d+$/).on('connection', sayName);
io.of((name, auth, next) => next(null, name === `/${auth.secret}-place`)).on('connection', sayName);

for (const [name, server] of [['engineio', engineHttp], ['socketio', socketHttp]]) {
  await new Promise((resolve) => server.listen(Number(values[`${name}-port`]), '127.0.0.1', resolve));
  console.error(`event=listening name=${name} addr=127.0.0.1:${server.address().port}`);
}
