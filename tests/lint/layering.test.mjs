// That layering.mjs finds a wrong arrow, and lets the right ones pass.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headersOf, judge, judgeOrder, LIBRARY_MAY_USE } from './layering.mjs';

const WRONG = [
  ['services/rest/app.cpp', 'services/session/core.hpp'],
  ['services/realtime/server.cpp', 'services/rest/http/server.hpp'],
  ['services/session/domain/cookie.cpp', 'services/session/redis/client.hpp'],
  ['services/session/domain/cookie.cpp', 'services/session/core.hpp'],
  ['services/session/domain/cookie.cpp', 'grpcpp/grpcpp.h'],
  ['services/session/domain/cookie.cpp', 'sesior/session/v1/session.grpc.pb.h'],
  ['services/session/domain/cookie.cpp', 'hiredis/hiredis.h'],
  ['services/session/domain/cookie.cpp', 'asio.hpp'],
  ['services/session/domain/cookie.cpp', 'asio/post.hpp'],
  ['services/session/domain/cookie.cpp', 'pistache/http.h'],
  ['services/session/domain/cookie.cpp', 'websocketpp/server.hpp'],
  ['services/session/rpc/rpc_server.cpp', 'hiredis/async.h'],
  ['services/rest/app.cpp', 'hiredis/hiredis.h'],
  ['services/rest/app.cpp', 'grpcpp/channel.h'],
  ['services/realtime/server.cpp', 'pistache/http.h'],
  ['services/realtime/transport/channel.cpp', 'websocketpp/frame.hpp'],
  ['services/realtime/server.cpp', 'tests/support/fake_clock.hpp'],
  ['tests/unit/websocket/x.cpp', 'websocketpp/frame.hpp'],
  ['libs/socketio/src/packet_codec.cpp', 'asio/buffer.hpp'],
  ['libs/socketio/src/packet_codec.cpp', 'grpcpp/grpcpp.h'],
  ['libs/socketio/src/packet_codec.cpp', 'websocketpp/frame.hpp'],
  ['libs/socketio/src/packet_codec.cpp', 'sesior/telemetry/log.hpp'],
  ['libs/base/src/error.cpp', 'sesior/telemetry/log.hpp'],
  ['libs/base/include/sesior/base/error.hpp', 'sesior/session/v1/session.pb.h'],
  ['libs/http/src/cors.cpp', 'sesior/ops/ops_server.hpp'],
  ['libs/http/src/cors.cpp', 'services/rest/app.hpp'],
  ['libs/http/src/cors.cpp', '../../websocket/src/engine.hpp'],
  ['libs/http/src/cors.cpp', 'tests/support/fake_clock.hpp'],
  ['libs/config/src/flags.cpp', 'spdlog/spdlog.h'],
  ['libs/nameless/src/x.cpp', 'string'],
];

const RIGHT = [
  ['services/session/redis/client.cpp', 'hiredis/hiredis.h'],
  ['services/session/redis/client.cpp', 'asio/post.hpp'],
  ['services/session/rpc/rpc_server.cpp', 'grpcpp/grpcpp.h'],
  ['services/session/rpc/rpc_server.cpp', 'services/session/domain/cookie.hpp'],
  ['services/session/domain/cookie.cpp', 'services/session/domain/cookie.hpp'],
  ['services/session/domain/cookie.cpp', 'sesior/base/base64.hpp'],
  ['services/rest/http/server.cpp', 'pistache/listener.h'],
  ['services/realtime/server.cpp', 'sesior/session_client/session_client.hpp'],
  ['libs/websocket/src/engine.hpp', 'websocketpp/frame.hpp'],
  ['libs/session_client/src/replica.cpp', 'sesior/session/v1/session.grpc.pb.h'],
  ['libs/ops/src/ops_server.cpp', 'sesior/http/response.hpp'],
  ['libs/http/src/cors.cpp', 'sesior/http/cors.hpp'],
  ['tests/unit/ops/ops_server_test.cpp', 'sesior/ops/ops_server.hpp'],
];

for (const [file, header] of WRONG) {
  test(`${file} may not include ${header}`, () => assert.notDeepEqual([...judge(file, header)], []));
}
for (const [file, header] of RIGHT) {
  test(`${file} may include ${header}`, () => assert.deepEqual([...judge(file, header)], []));
}

test('finds includes in every spelling, and none in comments', () => {
  const source = '#include "a/b.hpp"\n  #  include\t<c/d.h> // why\n// #include "e.hpp"\nint include = 0;\n#include "f.hpp"';
  assert.deepEqual(headersOf(source), ['a/b.hpp', 'c/d.h', 'f.hpp']);
});

test('wants every library to come after what it uses', () => {
  const cmake = (names) => names.map((name) => `add_subdirectory(${name})\n`).join('');
  const names = Object.keys(LIBRARY_MAY_USE);
  assert.deepEqual([...judgeOrder(cmake(names))], []);
  assert.notDeepEqual([...judgeOrder(cmake([...names].reverse()))], []);
  assert.notDeepEqual([...judgeOrder(cmake([...names, 'nameless']))], []);
  assert.notDeepEqual([...judgeOrder(cmake(names.slice(1)))], []);
});
