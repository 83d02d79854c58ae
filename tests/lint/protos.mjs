// Judges the protos: protoc without warnings, then our rules for names, and that every rpc says what it promises.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = join(root, 'proto');
const files = execFileSync('git', ['-C', folder, 'ls-files', '-co', '--exclude-standard', '*.proto'], { encoding: 'utf8' }).split('\n').filter(Boolean);

const PASCAL = /^([A-Z][a-z0-9]*)+$/;
const SNAKE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const UPPER = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;
const upperSnake = (name) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase();

const problems = [];

const protoc = spawnSync('protoc', ['-I', folder, '--fatal_warnings', '--descriptor_set_out=/dev/null', ...files], { encoding: 'utf8' });
if (protoc.status !== 0) problems.push(protoc.stderr?.trim() || 'protoc does not run');

for (const file of files) {
  const text = readFileSync(join(folder, file), 'utf8');
  let line = 0;
  const say = (problem) => problems.push(`proto/${file}:${line}: ${problem}`);

  const expected = dirname(file).replaceAll('/', '.');
  if (!text.includes(`\npackage ${expected};`)) say(`the package must be ${expected}`);
  if (!/\.v\d+$/.test(expected)) say('a package ends in its version');
  if (/'"'"'/.test(text)) say("a comment has the shell's quotes");

  let comment = '';
  const open = [];  // the blocks around this line: {kind, name, values}
  for (const raw of text.split('\n')) {
    ++line;
    const here = raw.trim();
    if (here.startsWith('//')) {
      comment += `${here.slice(2)} `;
      continue;
    }
    const code = here.replace(/\/\/.*$/, '').trim();
    const block = /^(message|enum|service|oneof)\s+(\w+)\s*\{/.exec(code);
    const rpc = /^rpc\s+(\w+)\s*\(\s*(stream\s+)?([\w.]+)\s*\)\s*returns\s*\(\s*(stream\s+)?([\w.]+)\s*\)/.exec(code);
    const inside = open.at(-1);
    if (block) {
      const [, kind, name] = block;
      if (kind === 'oneof' ? !SNAKE.test(name) : !PASCAL.test(name)) say(`${kind} ${name} has a name of the wrong form`);
      if (kind === 'service' && !name.endsWith('Service')) say(`service ${name} must end in Service`);
      if (kind === 'service' && !comment && !text.startsWith('//')) say(`service ${name} has no comment`);
      if (!code.endsWith('}')) open.push({ kind, name, values: 0 });
    } else if (rpc) {
      const [, name, , request, , response] = rpc;
      if (!PASCAL.test(name)) say(`rpc ${name} has a name of the wrong form`);
      if (request !== `${name}Request` || response !== `${name}Response`) say(`rpc ${name} must take ${name}Request and give ${name}Response`);
      for (const [what, pattern] of [['its role', /Role:/], ['its deadline', /deadline/i]]) {
        if (!pattern.test(comment)) say(`rpc ${name} does not say ${what}`);
      }
    } else if (code.startsWith('}')) {
      open.pop();
    } else if (inside?.kind === 'enum') {
      const value = /^(\w+)\s*=\s*(\d+)/.exec(code);
      if (value) {
        const prefix = `${upperSnake(inside.name)}_`;
        if (!UPPER.test(value[1]) || !value[1].startsWith(prefix)) say(`${value[1]} must begin with ${prefix}`);
        if (inside.values++ === 0 && !(value[2] === '0' && value[1] === `${prefix}UNSPECIFIED`)) say(`the first value must be ${prefix}UNSPECIFIED = 0`);
      }
    } else if (inside) {
      const field = /^(?:repeated\s+|optional\s+)?(?:map<[^>]+>|[\w.]+)\s+(\w+)\s*=\s*\d+/.exec(code);
      if (field && !SNAKE.test(field[1])) say(`field ${field[1]} has a name of the wrong form`);
    }
    comment = '';
  }
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
