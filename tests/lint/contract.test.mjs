// That contract.mjs finds what would break a released client, and lets additions pass.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { broken, contractOf } from './contract.mjs';

const proto = join(dirname(fileURLToPath(import.meta.url)), '../../proto');
const released = contractOf(proto);

function after(from, to) {
  const folder = mkdtempSync(join(tmpdir(), 'sesior-contract-'));
  try {
    cpSync(proto, folder, { recursive: true });
    const file = join(folder, 'sesior/session/v1/session.proto');
    const text = readFileSync(file, 'utf8');
    assert.match(text, from);
    writeFileSync(file, text.replace(from, to));
    return broken(released, contractOf(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const BREAKING = [
  ['a field that is gone', /string handle = 12;/, ''],
  ['another number', /string handle = 12;/, 'string handle = 1200;'],
  ['another name', /string handle = 12;/, 'string tag = 12;'],
  ['another type', /uint64 revision = 5;/, 'int64 revision = 5;'],
  ['one that was many', /repeated string session_ids = 1;/, 'string session_ids = 1;'],
  ['a oneof that is none', /oneof by \{\s+(string session_id = 1;)([^}]*)\}/, '$1$2'],
  ['another value', /END_REASON_LOGIN = 2;/, 'END_REASON_SIGNIN = 2;'],
  ['an rpc that is gone', /rpc TouchSession\(TouchSessionRequest\) returns \(TouchSessionResponse\);/, ''],
  ['an rpc that streams', /returns \(GetSessionResponse\)/, 'returns (stream GetSessionResponse)'],
];
for (const [what, from, to] of BREAKING) {
  test(`finds ${what}`, () => assert.notDeepEqual(after(from, to), []));
}
test('lets additions pass', () => {
  assert.deepEqual(after(/string handle = 12;/, 'string handle = 12; string more = 1200;'), []);
});
