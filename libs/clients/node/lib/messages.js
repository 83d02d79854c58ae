// Between the messages of the protos and what callers see.
'use strict';

const { randomBytes } = require('node:crypto');

const timeOf = (timestamp) => (timestamp ? new Date(timestamp.seconds * 1000 + timestamp.nanos / 1e6) : undefined);
const durationOf = (ms) => (ms ? { seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) } : undefined);

// By id, or {cookie: the value of a Cookie header}.
function refOf(session) {
  if (typeof session === 'string') return { sessionId: session };
  if (typeof session?.cookie === 'string') return { cookieHeader: session.cookie };
  if (typeof session?.id === 'string') return { sessionId: session.id };
  throw new TypeError('a session is named by its id, or by {cookie: "the request\'s Cookie header"}');
}

function sessionOf(message) {
  if (!message) return undefined;
  return {
    id: message.sessionId,
    // Without the member `cookie`. Parsed when it is looked at. Lists have none.
    get data() {
      const data = message.dataJson ? JSON.parse(message.dataJson) : undefined;
      Object.defineProperty(this, 'data', { value: data, enumerable: true });
      return data;
    },
    dataJson: message.dataJson,
    userId: message.userId,
    etag: message.etag,
    revision: message.revision,
    createTime: timeOf(message.createTime),
    lastSeenTime: timeOf(message.lastSeenTime),
    expireTime: timeOf(message.expireTime),
    absoluteExpireTime: timeOf(message.absoluteExpireTime),
    device: message.device ?? undefined,
    foreignWriter: message.foreignWriter,
    handle: message.handle,
    cookieJson: message.cookieJson,
  };
}

// "END_REASON_LOGOUT" -> "logout"
const wordOf = (name, prefix) => name.slice(prefix.length).toLowerCase().replaceAll('_', '-');

// Unguessable; also fit to be a request id.
const token = () => randomBytes(18).toString('base64url');

module.exports = { durationOf, refOf, sessionOf, timeOf, token, wordOf };
