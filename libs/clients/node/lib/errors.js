'use strict';

const { status: codes } = require('@grpc/grpc-js');

const { readBadRequest, readErrorInfo, readRetryInfo, readStatus } = require('./protos');

// What a call failed with. `code` is gRPC's name ("NOT_FOUND"), `reason` one of the table in proto/README.md or "",
// `field` the request's field or the record's member that was wrong or "", `retryAfterMs` the wait that was advised.
class SesiorError extends Error {
  constructor(message, { code, reason = '', field = '', retryAfterMs, method = '', cause } = {}) {
    super(message, cause && { cause });
    this.name = 'SesiorError';
    this.code = code;
    this.reason = reason;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
    this.method = method;
  }
}

const PREFIX = 'type.googleapis.com/google.rpc.';

// From an error of grpc-js. Details that cannot be read are left out: code and message stand without them.
function fromGrpc(error, method) {
  const details = { code: codes[error.code] ?? 'UNKNOWN', method, cause: error };
  try {
    const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
    for (const { type_url: url, typeUrl = url, value } of bytes ? readStatus(bytes).details : []) {
      if (typeUrl === `${PREFIX}ErrorInfo`) details.reason = readErrorInfo(value).reason;
      if (typeUrl === `${PREFIX}BadRequest`) details.field = readBadRequest(value).fieldViolations[0]?.field ?? '';
      if (typeUrl === `${PREFIX}RetryInfo`) {
        const { seconds, nanos } = readRetryInfo(value).retryDelay ?? { seconds: 0, nanos: 0 };
        details.retryAfterMs = seconds * 1000 + nanos / 1e6;
      }
    }
  } catch {
    // As said above.
  }
  return new SesiorError(error.details || error.message, details);
}

module.exports = { SesiorError, fromGrpc };
