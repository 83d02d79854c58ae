// services: which processes make SESIOR, and what each is told, for runSystem of system.mjs. How one is started is the caller's:
// launch(kind, {args, env}) → {command, args, env} (deploy/run starts binaries, the tests of images start containers).
// page, clientBundle: the folders that REST and realtime serve, as their processes see them.
import { httpReady } from './ready.mjs';

export function services({ launch, page, clientBundle }) {
  return {
    // An address for each process, and one for its probes and metrics; realtime has one for its peers, too.
    portsOf: (counts) => 2 * (counts.rest + counts.realtime + counts.session) + counts.realtime,
    describe({ counts, host, nextPort, redisUrl, cookieSecret, peerSecret, allowedOrigins, changedMembers }) {
      const addresses = (n) => Array.from({ length: n }, () => `${host}:${nextPort()}`);
      const rest = addresses(counts.rest);
      const realtime = addresses(counts.realtime);
      const session = addresses(counts.session);
      const urls = (list) => list.map((address) => `http://${address}`);
      // The page may be opened by either name of this machine.
      const pages = [...urls(rest), ...urls(rest).map((url) => url.replace(host, 'localhost'))];
      const origins = [...pages, ...allowedOrigins].join(',');

      const service = (kind, list, argsOf) =>
        list.map((address, i) => {
          const ops = `${host}:${nextPort()}`;
          return {
            kind,
            name: `${kind}-${i + 1}`,
            ...launch(kind, {
              args: ['--listen', address, '--ops-listen', ops, ...argsOf(i)],
              // Not as a flag: other users of this machine can read those.
              env: { session: { SESIOR_SESSION_COOKIE_SECRET: cookieSecret }, realtime: { SESIOR_REALTIME_PEER_SECRET: peerSecret } }[kind] ?? {},
            }),
            ready: () => httpReady(`http://${ops}/readyz`),
          };
        });
      const sessions = ['--session-addresses', session.join(',')];
      return {
        stages: [
          service('session', session, () => ['--redis-url', redisUrl]),
          [
            ...service('rest', rest, () => [
              ...sessions, '--web-root', page, '--realtime-urls', urls(realtime).join(','),
              '--allowed-origins', origins,
            ]),
            ...service('realtime', realtime, (i) => [
              ...sessions, '--client-bundle-dir', clientBundle,
              '--allowed-origins', origins, '--replica-name', `realtime-${i + 1}`, '--peer-listen', `${host}:${nextPort()}`,
              '--session-changed-members', ['userName', ...changedMembers].join(','),
            ]),
          ],
        ],
        rest: urls(rest)[0],
        realtime: urls(realtime),
        session,
      };
    },
  };
}
