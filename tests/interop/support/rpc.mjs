// The session service's gRPC, as a backend in another language calls it.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../proto');
const definition = loadSync(['sesior/session/v1/session.proto', 'sesior/broadcast/v1/broadcast.proto', 'sesior/internal/v1/status.proto'], {
  includeDirs: [root], keepCase: true, longs: String, enums: String, defaults: true,
});
const { sesior } = grpc.loadPackageDefinition(definition);
const DEADLINE_MS = 8000;
const RECEIVE_BYTES = 16 << 20;

const decode = (name, bytes) => definition[`sesior.internal.v1.${name}`].deserialize(bytes);

// What the service says about an error beside its code: {reason, fields}.
function detailsOf(error) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = { reason: null, fields: [] };
  if (!bytes) return details;
  // An Any is read by hand: the loader knows no registry of types.
  for (const { type_url, value } of decode('Status', bytes).details) {
    if (type_url.endsWith('.ErrorInfo')) details.reason = decode('ErrorInfo', value).reason;
    if (type_url.endsWith('.BadRequest')) details.fields = decode('BadRequest', value).field_violations.map((v) => v.field);
  }
  return details;
}

export class SessionRpc {
  #client;
  #broadcasts;

  constructor(address) {
    const options = {
      'grpc.max_receive_message_length': RECEIVE_BYTES, 'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 500, 'grpc.use_local_subchannel_pool': 1,
    };
    this.#client = new sesior.session.v1.SessionService(address, grpc.credentials.createInsecure(), options);
    this.#broadcasts = new sesior.broadcast.v1.BroadcastService(address, grpc.credentials.createInsecure(), options);
  }

  // Rejects with {code: 'DATA_LOSS', reason, fields, message}.
  async call(method, request, deadlineMs = DEADLINE_MS) {
    const start = promisify(this.#client[method]).bind(this.#client);
    try {
      return await start(request, new grpc.Metadata(), { deadline: Date.now() + deadlineMs });
    } catch (error) {
      const failure = new Error(`${method}: ${error.message}`);
      throw Object.assign(failure, { code: grpc.status[error.code] ?? String(error.code), ...detailsOf(error) });
    }
  }

  // The error of a call that must fail.
  async refused(method, request) {
    let response;
    try {
      response = await this.call(method, request);
    } catch (error) {
      return error;
    }
    throw new Error(`${method} was expected to fail, but answered ${JSON.stringify(response).slice(0, 200)}`);
  }

  // Calls onDelivery({epoch, offset, broadcast}) for what a namespace is told from now on; resolves when the stream has ended.
  subscribe(namespace, onDelivery) {
    const stream = this.#broadcasts.Subscribe();
    stream.on('data', ({ deliveries }) => deliveries.forEach(onDelivery));
    stream.write({ replica_id: 'tests', add: [{ namespace }] });
    return new Promise((resolve) => {
      stream.on('error', resolve);
      stream.on('end', resolve);
    });
  }

  close() {
    this.#client.close();
    this.#broadcasts.close();
  }
}
