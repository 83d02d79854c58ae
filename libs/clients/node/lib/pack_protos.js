// Copies the protos into the package. Run by npm before it packs; the copy is never committed.
'use strict';

const { cpSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const target = join(__dirname, '../proto');
rmSync(target, { recursive: true, force: true });
cpSync(join(__dirname, '../../../../proto/sesior'), join(target, 'sesior'), { recursive: true });
