'use strict';

const { readFileSync } = require('node:fs');

const grpc = require('@grpc/grpc-js');

const { fromGrpc, SesiorError } = require('./errors');
const { services } = require('./protos');

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.enable_retries': 0, // ours know request ids and deadlines
};

// How long to wait before try number `tries` + 1: doubled each time, between half of it and all.
function pauseBefore(tries, advisedMs = 0, first = FIRST_PAUSE_MS, longest = LONGEST_PAUSE_MS) {
  const whole = Math.min(longest, first * 2 ** (tries - 1));
  return Math.max(advisedMs, whole / 2 + (Math.random() * whole) / 2);
}

const bytesOf = (value) => (typeof value === 'string' && !value.includes('-----BEGIN') ? readFileSync(value) : value && Buffer.from(value));

function credentialsOf(tls) {
  if (!tls) return grpc.credentials.createInsecure();
  const { ca, cert, key } = tls === true ? {} : tls;
  return grpc.credentials.createSsl(bytesOf(ca) ?? null, bytesOf(key) ?? null, bytesOf(cert) ?? null);
}

// A channel for each address, and calls that go from one to the next.
class Channels {
  #places; // {channel, stubs}
  #next = Math.floor(Math.random() * 1024);
  #options;

  constructor({ addresses, tls, token, timeoutMs, maxTries }) {
    const credentials = credentialsOf(tls);
    const named = tls?.serverName ? { 'grpc.ssl_target_name_override': tls.serverName } : {};
    this.#options = { token, timeoutMs, maxTries };
    this.#places = addresses.map((address) => {
      const target = /^[a-z]+:/.test(address) && !/^[^:/]+:\d+$/.test(address) ? address : `dns:///${address}`;
      const options = { ...CHANNEL_OPTIONS, ...named };
      const channel = new grpc.Channel(target, credentials, options);
      const stubs = {};
      for (const [name, Stub] of Object.entries(services)) stubs[name] = new Stub(target, credentials, { ...options, channelOverride: channel });
      return { channel, stubs, health: new grpc.Client(target, credentials, { ...options, channelOverride: channel }) };
    });
  }

  // The next place in turn; one that is known to be away only when all are.
  #pick() {
    this.#next = (this.#next + 1) % this.#places.length;
    const inTurn = this.#places.map((_, i) => this.#places[(this.#next + i) % this.#places.length]);
    const { TRANSIENT_FAILURE } = grpc.connectivityState;
    return inTurn.find(({ channel }) => channel.getConnectivityState(true) !== TRANSIENT_FAILURE) ?? inTurn[0];
  }

  metadata() {
    const metadata = new grpc.Metadata();
    const { token } = this.#options;
    if (token) metadata.set('authorization', `Bearer ${typeof token === 'function' ? token() : token}`);
    return metadata;
  }

  // One unary call. Repeats UNAVAILABLE only, within its deadline, `maxTries` times at most: every call is either
  // idempotent or carries a request id.
  async call(service, method, request, { timeoutMs = this.#options.timeoutMs, signal } = {}) {
    const deadline = Date.now() + timeoutMs;
    for (let tries = 1; ; ++tries) {
      try {
        return await this.#once(service, method, request, deadline, signal);
      } catch (error) {
        const pause = pauseBefore(tries, error.retryAfterMs);
        if (error.code !== 'UNAVAILABLE' || tries >= this.#options.maxTries || Date.now() + pause >= deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (signal?.aborted) throw new SesiorError('the call was aborted', { code: 'CANCELLED', method });
      }
    }
  }

  #once(service, method, request, deadline, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw new SesiorError('the call was aborted', { code: 'CANCELLED', method });
      const abort = () => call.cancel();
      const call = this.#pick().stubs[service][method](request, this.metadata(), { deadline }, (error, response) => {
        signal?.removeEventListener('abort', abort);
        if (error) reject(fromGrpc(error, method));
        else resolve(response);
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  // A stream on the next place in turn. No deadline.
  stream(service, method) {
    return this.#pick().stubs[service][method](this.metadata());
  }

  // The health of each address, as grpc.health.v1 tells it: {address, serving, error}.
  health(timeoutMs = this.#options.timeoutMs) {
    // HealthCheckRequest is empty for "the whole server"; HealthCheckResponse is one enum, field 1.
    const serving = (bytes) => bytes.length === 2 && bytes[0] === 8 && bytes[1] === 1;
    return Promise.all(
      this.#places.map(
        ({ channel, health }) =>
          new Promise((resolve) => {
            health.makeUnaryRequest(
              '/grpc.health.v1.Health/Check', () => Buffer.alloc(0), serving, {}, this.metadata(),
              { deadline: Date.now() + timeoutMs },
              (error, ok) =>
                resolve({
                  address: channel.getTarget().replace(/^dns:\/*/, ''),
                  serving: !error && ok,
                  error: error ? fromGrpc(error, 'Check') : undefined,
                }),
            );
          }),
      ),
    );
  }

  close() {
    for (const { channel } of this.#places) channel.close();
  }
}

module.exports = { Channels, pauseBefore };
