// Does the judge see each mechanism? Switches one after the other off in a copy of the tree, builds that, and runs the load
// against it: violations of the expected kind must be found. By hand, after a build: it takes about two minutes a mutant.
//
// usage: node tests/history/mutants.mjs [NAME...]      exit code 0: every mutant was found out
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const copy = join(root, 'build/mutants');
const SECONDS = 30;

// The script, what is replaced there, once, and what must be found then, in the words of the last line of run.mjs.
const MUTANTS = {
  'compare-and-set': ['update.lua', 'if state.h ~= ARGV[8] or state.r ~= ARGV[9] then', 'if false then', 'lost'],
  'update-if-exists': [
    'update.lua', 'if not state then return failure end',
    "if not state then\n  if ARGV[10] == '1' then call('DEL', keys.tomb) call('SET', keys.sess, ARGV[11], 'PX', 86400000) end\n  return failure\nend",
    'revived',
  ],
  'request ids': ['common.lua', "if rid == '' then return false end", 'do return false end', 'repeated'],
  claims: ['common.lua', 'local function check_moves(at)\n', 'local function check_moves(at)\n  do return nil end\n', 'named'],
  'the end of the old id': ['regenerate.lua', 'bury(old, env.sid,', "call('EXISTS', old.sess) --(", 'revived'],
};

const run = (command, args, options = {}) => execFileSync(command, args, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'], ...options });

function copyTree() {
  rmSync(join(copy, 'services'), { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean)) cpSync(join(root, name), join(copy, name));
  for (const folder of ['services/web', 'tests/e2e', 'tests/interop']) {
    rmSync(join(copy, folder, 'node_modules'), { force: true });
    symlinkSync(join(root, folder, 'node_modules'), join(copy, folder, 'node_modules'));
  }
  const env = { ...process.env, CCACHE_BASEDIR: copy, CCACHE_NOHASHDIR: '1' };
  run('cmake', ['--preset', 'release', '-D', 'SESIOR_TESTS=OFF'], { env });
  return () => run('cmake', ['--build', 'build/release', '--target', 'sesior-session', 'sesior-rest', 'sesior-realtime'], { env });
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(MUTANTS);
const build = copyTree();
let survived = 0;
for (const name of names) {
  const [script, before, after, expected] = MUTANTS[name];
  const file = join(copy, 'services/session/redis/scripts', script);
  const text = readFileSync(file, 'utf8');
  if (text.split(before).length !== 2) throw new Error(`${name}: ${script} does not hold "${before}" once: mend this list`);
  writeFileSync(file, text.replace(before, () => after));
  build();
  const { stdout, status } = spawnSync(process.execPath, ['tests/history/run.mjs', '--seconds', String(SECONDS)], { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  writeFileSync(file, text);
  const tally = stdout.trimEnd().split('\n').at(-1);
  const found = status === 1 && new RegExp(`\\b[1-9]\\d* ${expected}`).test(tally);
  if (!found) ++survived;
  console.log(`${found ? 'found  ' : 'MISSED '} without ${name}: ${tally}`);
}
process.exit(survived === 0 ? 0 : 1);
