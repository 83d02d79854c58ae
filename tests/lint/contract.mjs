// Holds the public protos to what was released: contract.txt lists every rpc, field and value of the last release, and
// each of its lines must still be true. More may be added; that is listed with the next release, by --update.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const listing = join(here, 'contract.txt');
const INTERNAL = 'sesior.internal.';

// protobuf's text form of a message as nested maps: name -> list of values.
function parse(text) {
  const open = [new Map()];
  for (const line of text.split('\n')) {
    const field = /^\s*(\w+)(?:: (.*)| \{)$/.exec(line);
    if (field) {
      const [, name, value] = field;
      const entry = value === undefined ? new Map() : value.replace(/^"(.*)"$/, '$1');
      if (!open.at(-1).has(name)) open.at(-1).set(name, []);
      open.at(-1).get(name).push(entry);
      if (value === undefined) open.push(entry);
    } else if (line.trim() === '}') {
      open.pop();
    }
  }
  return open[0];
}

// One line for each thing that callers rely on, sorted.
export function contractOf(folder) {
  const files = execFileSync('find', ['.', '-name', '*.proto', '-printf', '%P\n'], { cwd: folder, encoding: 'utf8' }).split('\n').filter(Boolean).sort();
  const scratch = mkdtempSync(join(tmpdir(), 'sesior-descriptors-'));
  const set = join(scratch, 'set');
  execFileSync('protoc', ['-I', folder, `--descriptor_set_out=${set}`, ...files]);
  const bytes = readFileSync(set);
  rmSync(scratch, { recursive: true });
  const text = execFileSync('protoc', ['--decode=google.protobuf.FileDescriptorSet', 'google/protobuf/descriptor.proto'], { input: bytes, encoding: 'utf8' });
  const all = (node, name) => node.get(name) ?? [];
  const one = (node, name) => all(node, name)[0] ?? '';
  const lines = [];
  const addEnum = (scope, node) => {
    for (const value of all(node, 'value')) lines.push(`value ${scope}.${one(node, 'name')} ${one(value, 'number') || 0} ${one(value, 'name')}`);
  };
  const addMessage = (scope, node) => {
    const name = `${scope}.${one(node, 'name')}`;
    for (const field of all(node, 'field')) {
      const oneof = one(field, 'oneof_index') === '' ? '' : `oneof:${one(all(node, 'oneof_decl')[Number(one(field, 'oneof_index'))], 'name')}`;
      const words = ['number', 'name', 'label', 'type', 'type_name'].map((what) => one(field, what));
      lines.push(['field', name, ...words, oneof].filter(Boolean).join(' '));
    }
    for (const inner of all(node, 'nested_type')) addMessage(name, inner);
    for (const inner of all(node, 'enum_type')) addEnum(name, inner);
  };
  for (const file of all(parse(text), 'file')) {
    const scope = one(file, 'package');
    if (scope.startsWith(INTERNAL)) continue;
    for (const message of all(file, 'message_type')) addMessage(scope, message);
    for (const node of all(file, 'enum_type')) addEnum(scope, node);
    for (const service of all(file, 'service')) {
      for (const method of all(service, 'method')) {
        const side = (type, stream) => (one(method, stream) === 'true' ? `stream ${one(method, type)}` : one(method, type));
        lines.push(`rpc ${scope}.${one(service, 'name')}.${one(method, 'name')} ${side('input_type', 'client_streaming')} -> ${side('output_type', 'server_streaming')}`);
      }
    }
  }
  return lines.sort();
}

// What of the release is no longer true.
export function broken(released, present) {
  const now = new Set(present);
  return released.filter((line) => !now.has(line));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const present = contractOf(join(here, '../../proto'));
  if (process.argv[2] === '--update') {
    writeFileSync(listing, `${present.join('\n')}\n`);
  } else {
    const released = readFileSync(listing, 'utf8').split('\n').filter(Boolean);
    const problems = broken(released, present);
    for (const line of problems) console.error(`released, and no longer so: ${line}`);
    if (problems.length > 0 || released.length === 0) process.exitCode = 1;
  }
}
