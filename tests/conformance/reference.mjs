// The conformance application on the reference server itself: what `serve` is, made of socket.io from npm. The cases of
// this folder are run against it too, which keeps them honest.
// usage: node reference.mjs --engineio-port P --socketio-port Q [--ping-interval-ms N] [--ping-timeout-ms N]
// (port 0: any free one)
// Says on standard error where it listens, as our server does.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Server as EngineServer } from 'engine.io';
import { Server } from 'socket.io';

const { values } = parseArgs({
  options: {
    'engineio-port': { type: 'string', default: '0' }, 'socketio-port': { type: 'string', default: '0' },
    'ping-interval-ms': { type: 'string', default: '300' }, 'ping-timeout-ms': { type: 'string', default: '200' },
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
const io = new Server(socketHttp, { ...engineOptions, connectTimeout: 1000 });
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

for (const [name, server] of [['engineio', engineHttp], ['socketio', socketHttp]]) {
  await new Promise((resolve) => server.listen(Number(values[`${name}-port`]), '127.0.0.1', resolve));
  console.error(`event=listening name=${name} addr=127.0.0.1:${server.address().port}`);
}
