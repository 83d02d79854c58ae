// Dependencies point down only. Reads every #include of our C++ and fails on a wrong arrow. No arguments.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

// What each library may include of ours, itself aside. A service may include every library and itself.
const LIBRARY_MAY_USE = {
  base: [],
  telemetry: ['base'],
  config: ['base'],
  runtime: ['base', 'telemetry'],
  http: ['base'],
  ops: ['base', 'http', 'runtime', 'telemetry'],
  grpc_status: ['base', 'proto'],
  websocket: ['base'],
  socketio: ['base'],
  grpc_status: ['base', 'proto'],
  session_client: ['base', 'telemetry', 'grpc_status', 'proto'],
};

// Headers of other people's that only the named folders may see.
const CONFINED = [
  { what: 'hiredis', header: /^hiredis\//, only: ['services/session/redis/', 'tests/'] },
  { what: 'Pistache', header: /^pistache\//, only: ['services/rest/', 'tests/'] },
  { what: 'websocketpp', header: /^websocketpp\//, only: ['libs/websocket/', 'tests/'] },
  {
    what: 'gRPC',
    header: /^grpc(pp)?\/|\.grpc\.pb\.h$/,
    only: ['libs/grpc_status/', 'libs/session_client/', 'services/session/rpc/', 'services/session/main.cpp', 'services/session/app', 'tests/'],
  },
  { what: 'spdlog', header: /^spdlog\//, only: ['libs/telemetry/src/'] },
  { what: 'I/O', header: /^asio(\.hpp|\/)|^sys\/(socket|epoll)\.h$/, not: ['services/session/domain/', 'libs/socketio/'] },
];

const problems = new Set();  // one for all lines of a file that say the same
const files = execFileSync('git', ['-C', root, 'ls-files', '-co', '--exclude-standard', '*.cpp', '*.hpp'], { encoding: 'utf8' });
for (const file of files.split('\n').filter(Boolean)) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  lines.forEach((line) => {
    const header = /^\s*#\s*include\s*["<]([^">]+)[">]/.exec(line)?.[1];
    if (header) for (const problem of judge(file, header)) problems.add(`${file}: ${problem}`);
  });
}

function* judge(file, header) {
  const library = /^libs\/([^/]+)\//.exec(file)?.[1];
  const service = /^services\/([^/]+)\//.exec(file)?.[1];
  const used = /^sesior\/([^/]+)\//.exec(header)?.[1];
  const usedService = /^services\/([^/]+)\//.exec(header)?.[1];
  const isProto = header.endsWith('.pb.h');

  if (library) {
    const may = LIBRARY_MAY_USE[library];
    if (!may) yield `libs/${library} has no row in tests/lint/layering.mjs`;
    else if (usedService) yield `a library includes the service "${usedService}"`;
    else if (isProto && !may.includes('proto')) yield `libs/${library} may not use generated messages`;
    else if (used && !isProto && used !== library && !may.includes(used)) yield `libs/${library} may not use libs/${used}`;
  }
  if (service && usedService && usedService !== service) yield `services/${service} includes services/${usedService}`;
  if ((library || service) && header.startsWith('tests/')) yield 'shipped code includes a test';
  for (const { what, header: pattern, only, not } of CONFINED) {
    if (!pattern.test(header)) continue;
    const wrong = only ? !only.some((folder) => file.startsWith(folder)) : not.some((folder) => file.startsWith(folder));
    if (wrong) yield `${what} (${header}) does not belong here`;
  }
}

for (const problem of problems) console.error(problem);
if (problems.size > 0) process.exitCode = 1;
