#!/usr/bin/env node
// sesiorctl: sessions and broadcasts by hand. --help tells all of it.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');

const { Sesior } = require('..');

const HELP = `usage: sesiorctl [OPTION...] COMMAND [ARGUMENT...]

  get ID                      one session
  watch ID...                 the present state of sessions, then every change, until all have ended
  patch ID JSON               changes members by a JSON merge patch; null deletes; --etag E: that version only
  end ID                      ends a session and its sockets; --reason logout, banned, revoked (default banned)
  list USER                   the sessions of a user, newest first, by handles; --limit N
  end-user USER               ends all sessions of a user; --handle H: that one; --reason as above
  publish EVENT [JSON...]     an event with its arguments for Socket.IO clients; --namespace N, --room R..., --except R...,
                              --request-id I: once for one id
  emit EVENT [JSON...]        the same for --user U..., --session ID... and --room R...; without any of them: everybody
  online                      who is online; --namespace N, --newest, --limit N
  health                      whether each address serves
  completion bash|zsh         a script for the shell:  source <(sesiorctl completion bash)

  --addresses A[,A]   session replicas, host:port (or SESIOR_ADDRESSES; default 127.0.0.1:7100)
  --token-file F      file with the bearer token (or SESIOR_TOKEN_FILE)
  --ca F, --cert F, --key F   TLS: the authority, the own certificate and its key
  --timeout S         seconds for a call (default 5)
                      Roles: edge for get, watch, patch, end, publish, online; backend for emit; admin for list, end-user.
  --json              one JSON object a line instead of tables
  --show-ids          session ids as they are; they are secrets, and masked without this
  --help

ID - is read from standard input, so that it stays out of the list of processes.

examples:
  sesiorctl get - <<< "$ID"
  sesiorctl patch "$ID" '{"plan":"free","trial":null}'
  sesiorctl publish maintenance '{"minutes":5}' --room staff
  sesiorctl emit order:ready '{"order":17}' --user 4711
  sesiorctl online --json | jq -r .key

exit codes: 0 done, 1 the call failed, 2 wrong usage, 3 no such session or not serving, 4 the service is away
`;

const COMMANDS = ['get', 'watch', 'patch', 'end', 'list', 'end-user', 'publish', 'emit', 'online', 'health', 'completion'];
const REASONS = ['logout', 'revoked', 'banned'];

const text = { type: 'string' };
const flag = { type: 'boolean' };
const OPTIONS = {
  addresses: text, 'token-file': text, ca: text, cert: text, key: text, timeout: text, json: flag, 'show-ids': flag, help: flag,
  etag: text, reason: text, namespace: text, room: { ...text, multiple: true }, except: { ...text, multiple: true },
  'request-id': text, newest: flag, limit: text, handle: text, user: { ...text, multiple: true }, session: { ...text, multiple: true },
};

class UsageError extends Error {}
class NotThere extends Error {}

const masked = (id) => `h:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`;
const stamp = (date) => (date ? date.toISOString() : '-');

// What others chose must not steer a terminal.
const plain = (value) => String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

function table(rows) {
  const lines = rows.map((row) => row.map(plain));
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  for (const line of lines) console.log(line.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd());
}

function parsed(what, json) {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UsageError(`${what} is no JSON: ${error.message}`);
  }
}

function whole(name, value, least, most) {
  if (value === undefined) return undefined;
  if (!/^\d+$/.test(value) || Number(value) < least || Number(value) > most) throw new UsageError(`--${name} must be ${least} to ${most}`);
  return Number(value);
}

async function run(argv) {
  let options;
  let words;
  try {
    ({ values: options, positionals: words } = parseArgs({ args: argv, options: OPTIONS, allowPositionals: true }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (options.help) return void process.stdout.write(HELP);
  const [command, ...args] = words;
  if (!COMMANDS.includes(command)) throw new UsageError(command ? `no command "${command}"` : 'no command');
  const takes = { get: [1, 1], watch: [1, 1000], patch: [2, 2], end: [1, 1], list: [1, 1], 'end-user': [1, 1], publish: [1, 100], emit: [1, 100], online: [0, 0], health: [0, 0], completion: [1, 1] };
  const [least, most] = takes[command];
  if (args.length < least || args.length > most) throw new UsageError(`${command} takes ${least === most ? least : `${least} or more`} arguments`);
  if (command === 'completion') return complete(args[0]);

  const ids = command === 'get' || command === 'end' || command === 'patch' ? args.slice(0, 1) : command === 'watch' ? args : command === 'emit' ? options.session ?? [] : [];
  const typed = ids.includes('-') ? readFileSync(0, 'utf8').split(/\s+/).filter(Boolean) : [];
  if (typed.length < ids.filter((id) => id === '-').length) throw new UsageError('no id on standard input');
  const idOf = (id) => (id === '-' ? typed.shift() : id);
  const reason = options.reason ?? 'banned';
  if (!REASONS.includes(reason)) throw new UsageError(`--reason must be ${REASONS.join(', ')}`);

  const tokenFile = options['token-file'] ?? process.env.SESIOR_TOKEN_FILE;
  const tls = options.ca || options.cert || options.key ? { ca: options.ca, cert: options.cert, key: options.key } : undefined;
  const sesior = new Sesior({
    addresses: options.addresses ?? process.env.SESIOR_ADDRESSES,
    token: tokenFile && readFileSync(tokenFile, 'utf8').trim(),
    tls,
    timeoutMs: (whole('timeout', options.timeout, 1, 600) ?? 5) * 1000,
  });

  const shown = (id) => (options['show-ids'] ? id : masked(id));
  const brief = (session) => ({
    id: shown(session.id), user: session.userId, revision: session.revision, etag: session.etag, created: session.createTime,
    expires: session.expireTime, data: session.data,
  });
  // One thing: JSON, or a table of its members.
  const show = (thing) => {
    if (options.json) return console.log(JSON.stringify(thing));
    table(Object.entries(thing).map(([name, value]) => [name, value instanceof Date || value === undefined ? stamp(value) : typeof value === 'object' ? JSON.stringify(value) : value]));
  };
  // Many of a kind.
  const showAll = (head, things) => {
    if (options.json) for (const thing of things) console.log(JSON.stringify(thing));
    else table([head.map((name) => name.toUpperCase()), ...things.map((thing) => head.map((name) => (thing[name] instanceof Date ? stamp(thing[name]) : typeof thing[name] === 'object' ? JSON.stringify(thing[name]) : thing[name] ?? '')))]);
  };

  try {
    switch (command) {
      case 'get': {
        const session = await sesior.getSession(idOf(args[0]));
        if (!session) throw new NotThere('there is no such session');
        return show(brief(session));
      }
      case 'watch': {
        const watch = sesior.watch(...args.map(idOf));
        let left = watch.size;
        for await (const { kind, ref, session, reason: why, verdict } of watch) {
          const what = { time: new Date(), id: shown(ref), kind, ...(session ? { revision: session.revision, data: session.data } : { why: why ?? verdict }) };
          if (options.json) console.log(JSON.stringify(what));
          else console.log(Object.values(what).map((value) => (value instanceof Date ? stamp(value) : plain(typeof value === 'object' ? JSON.stringify(value) : value))).join('  '));
          if ((kind === 'ended' || kind === 'refused') && --left === 0) return;
        }
        return;
      }
      case 'patch': {
        const patch = parsed('the patch', args[1]);
        return show(brief((await sesior.updateSession(idOf(args[0]), patch, { etag: options.etag })).session));
      }
      case 'end': {
        const { destroyed } = await sesior.destroySession(idOf(args[0]), { reason });
        if (!destroyed) throw new NotThere('there is no such session');
        return show({ ended: 1 });
      }
      case 'list': {
        const most = whole('limit', options.limit, 1, 10_000) ?? Infinity;
        const listed = [];
        for (let pageToken; listed.length < most && pageToken !== ''; ) {
          const page = await sesior.listSessions({ userId: args[0], pageSize: Math.min(200, most - listed.length), pageToken });
          listed.push(...page.sessions);
          pageToken = page.nextPageToken;
        }
        return showAll(
          ['handle', 'created', 'seen', 'expires', 'address', 'device'],
          listed.map(({ handle, createTime, lastSeenTime, expireTime, device }) => ({
            handle, created: createTime, seen: lastSeenTime, expires: expireTime, address: device?.address,
            device: device?.label || device?.userAgent,
          })),
        );
      }
      case 'end-user': {
        const { ended } = await sesior.endUserSessions({ userId: args[0], handle: options.handle, reason });
        if (ended === 0) throw new NotThere('the user has no session');
        return show({ ended });
      }
      case 'emit': {
        const { namespace, room, user, except, 'request-id': requestId } = options;
        const values = args.slice(1).map((json) => parsed('an argument', json));
        const to = { namespace, rooms: room, userIds: user, sessionIds: ids.map(idOf), except };
        return show(await sesior.emit(args[0], values, { ...to, ...(requestId && { requestId }) }));
      }
      case 'publish': {
        const { namespace, room, except, 'request-id': requestId } = options;
        const values = args.slice(1).map((json) => parsed('an argument', json));
        return show(await sesior.publish(args[0], values, { namespace, rooms: room, except, ...(requestId && { requestId }) }));
      }
      case 'online': {
        const limit = whole('limit', options.limit, 1, 1000);
        const { total, entries } = await sesior.listOnline({ namespace: options.namespace, newestFirst: options.newest, limit });
        showAll(['key', 'since', 'value'], entries);
        if (!options.json) console.log(`${total} online`);
        return;
      }
      case 'health': {
        const all = await sesior.health();
        showAll(['address', 'serving', 'error'], all.map(({ address, serving, error }) => ({ address, serving, error: error?.code })));
        if (!all.every(({ serving }) => serving)) throw new NotThere('not all serve');
      }
    }
  } finally {
    sesior.close();
  }
}

function complete(shell) {
  const words = [...COMMANDS, ...Object.keys(OPTIONS).map((name) => `--${name}`)].join(' ');
  const files = ['--token-file', '--ca', '--cert', '--key'].join('|');
  if (!['bash', 'zsh'].includes(shell)) throw new UsageError('completion is for bash or zsh');
  if (shell === 'zsh') console.log('autoload -U +X bashcompinit && bashcompinit');
  console.log(`_sesiorctl() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  case $before in
    ${files}) COMPREPLY=($(compgen -f -- "$word")) ;;
    --reason) COMPREPLY=($(compgen -W "${REASONS.join(' ')}" -- "$word")) ;;
    completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "${words}" -- "$word")) ;;
  esac
}
complete -F _sesiorctl sesiorctl`);
}

// A service that is away refuses, or answers nothing in time.
const AWAY = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

// A closed pipe (| head) is no error.
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));

run(process.argv.slice(2)).catch((error) => {
  const usage = error instanceof UsageError || error instanceof TypeError;
  const missing = error instanceof NotThere || error.code === 'NOT_FOUND';
  console.error(`sesiorctl: ${plain(error.message)}${error.reason ? ` (${error.reason})` : ''}`);
  if (usage) console.error('sesiorctl --help tells more');
  process.exitCode = usage ? 2 : missing ? 3 : AWAY.has(error.code) ? 4 : 1;
});
