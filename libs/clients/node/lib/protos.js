// The contracts, read at start: from the package's own copy, made when it is packed, or from the tree it lies in.
'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const FILES = ['session/v1/session', 'broadcast/v1/broadcast', 'presence/v1/presence', 'internal/v1/status'];

const own = join(__dirname, '../proto');
const folder = existsSync(own) ? own : join(__dirname, '../../../../proto');

const definition = loadSync(
  FILES.map((file) => `sesior/${file}.proto`),
  { includeDirs: [folder], keepCase: false, longs: Number, enums: String, defaults: true, arrays: true, oneofs: true },
);
const { sesior } = grpc.loadPackageDefinition(definition);

const read = (name) => definition[`sesior.internal.v1.${name}`].deserialize;

module.exports = {
  services: {
    sessions: sesior.session.v1.SessionService,
    broadcasts: sesior.broadcast.v1.BroadcastService,
    presence: sesior.presence.v1.PresenceService,
  },
  // The details of an error.
  readStatus: read('Status'),
  readErrorInfo: read('ErrorInfo'),
  readBadRequest: read('BadRequest'),
  readRetryInfo: read('RetryInfo'),
};
