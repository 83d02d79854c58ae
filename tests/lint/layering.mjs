// Dependencies point down only. Reads every #include of our C++ and fails on a wrong arrow. No arguments; judge() is
// tested by layering.test.mjs.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

// What each library may include of ours, itself aside. A service may include every library and itself.
export const LIBRARY_MAY_USE = {
  base: [],
  telemetry: ['base'],
  config: ['base'],
  runtime: ['base', 'telemetry'],
  http: ['base'],
  websocket: ['base'],
  ops: ['base', 'telemetry', 'runtime', 'http'],
  socketio: ['base'],
  grpc_threads: [],
  grpc_status: ['base', 'proto'],
  grpc_tls: [],
  session_client: ['base', 'telemetry', 'config', 'grpc_status', 'grpc_tls', 'proto'],
};

// Headers of other people's: the only folders that see them, or those that never do.
const CONFINED = [
  { what: 'hiredis', header: /^hiredis\b/, only: ['services/session/redis/', 'tests/'] },
  { what: 'Pistache', header: /^pistache\//, only: ['services/rest/', 'tests/'] },
  { what: 'websocketpp', header: /^websocketpp\//, only: ['libs/websocket/'] },
  {
    what: 'gRPC',
    header: /^grpc(pp)?\/|\.grpc\.pb\.h$/,
    only: ['libs/grpc_threads/', 'libs/grpc_status/', 'libs/grpc_tls/', 'libs/session_client/', 'services/session/rpc/', 'services/session/main.cpp', 'services/session/app', 'tests/'],
  },
  { what: 'spdlog', header: /^spdlog\//, only: ['libs/telemetry/src/'] },
  { what: 'I/O', header: /^asio(\.hpp|\/)|^sys\/(socket|epoll)\.h$/, never: [/^services\/[^/]+\/domain\//, /^libs\/socketio\//] },
];

// What is wrong with this header in this file (a path from the top of the repository).
export function* judge(file, header) {
  const library = /^libs\/([^/]+)\//.exec(file)?.[1];
  const service = /^services\/([^/]+)\//.exec(file)?.[1];
  const used = /^sesior\/([^/]+)\//.exec(header)?.[1];
  const [, usedService, usedPart] = /^services\/([^/]+)\/(?:([^/]+)\/)?/.exec(header) ?? [];
  const isProto = header.endsWith('.pb.h');

  if (library) {
    const may = LIBRARY_MAY_USE[library];
    if (!may) yield `libs/${library} has no row in tests/lint/layering.mjs`;
    else if (usedService) yield `a library includes the service "${usedService}"`;
    else if (isProto && !may.includes('proto')) yield `libs/${library} may not use generated messages`;
    else if (used && !isProto && used !== library && !may.includes(used)) yield `libs/${library} may not use libs/${used}`;
  }
  if (service && usedService && usedService !== service) yield `services/${service} includes services/${usedService}`;
  if (service && /^services\/[^/]+\/domain\//.test(file) && usedService === service && usedPart !== 'domain') {
    yield `rules without I/O include ${header}`;
  }
  if ((library || service) && header.startsWith('tests/')) yield 'shipped code includes a test';
  if (/(^|\/)\.\.\//.test(header)) yield `${header} climbs out of its folder, past these rules`;
  for (const { what, header: pattern, only, never } of CONFINED) {
    if (!pattern.test(header)) continue;
    const wrong = only ? !only.some((folder) => file.startsWith(folder)) : never.some((folder) => folder.test(file));
    if (wrong) yield `${what} (${header}) does not belong here`;
  }
}

// The headers that a source includes.
export function headersOf(source) {
  return [...source.matchAll(/^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)/gm)].map(([, own, other]) => own ?? other);
}

// Whether the table above goes down only, in the order in which libs/CMakeLists.txt builds.
export function* judgeOrder(cmake) {
  const order = [...cmake.matchAll(/^add_subdirectory\((\w+)\)/gm)].map(([, name]) => name);
  for (const library of order) {
    if (!LIBRARY_MAY_USE[library]) yield `libs/${library} has no row in tests/lint/layering.mjs`;
  }
  for (const [library, uses] of Object.entries(LIBRARY_MAY_USE)) {
    if (!order.includes(library)) yield `tests/lint/layering.mjs has a row for libs/${library}, which is not built`;
    for (const used of uses) {
      if (used !== 'proto' && order.indexOf(used) >= order.indexOf(library)) {
        yield `libs/${library} uses libs/${used}, which comes after it in libs/CMakeLists.txt`;
      }
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = new Set(judgeOrder(readFileSync(join(root, 'libs/CMakeLists.txt'), 'utf8')));
  const sources = ['*.cpp', '*.hpp', '*.h', '*.cc', '*.cpp.in'];
  const files = execFileSync('git', ['-C', root, 'ls-files', '-co', '--exclude-standard', ...sources], { encoding: 'utf8' });
  for (const file of files.split('\n').filter(Boolean)) {
    for (const header of headersOf(readFileSync(join(root, file), 'utf8'))) {
      for (const problem of judge(file, header)) problems.add(`${file}: ${problem}`);
    }
  }
  for (const problem of problems) console.error(problem);
  if (problems.size > 0) process.exitCode = 1;
}
