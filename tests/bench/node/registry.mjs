// Who owns a name, and who is online, kept in Redis so that all replicas agree.
//
//   app:claim:<name>     string  the session that owns the name; void when that session is gone or has another name.
//                                With a ? in front it is pending: the session is about to be written, for 10 s at most
//   app:online           zset    session id by the time it came online
//   app:names            hash    session id -> name, for the sessions that are online
//   app:sockets          hash    session id -> announced sockets, over all replicas
//   app:replica:<id>     hash    session id -> announced sockets of that replica
//   app:replicas         zset    replica id by the time until which it counts as alive
import { randomUUID } from 'node:crypto';
import { defineScript } from 'redis';

const LEASE_MS = 9000;
const BEAT_MS = 3000;
const PENDING_S = 10;

const script = (keys, body) =>
  defineScript({
    NUMBER_OF_KEYS: keys,
    SCRIPT: body,
    parseCommand: (parser, keyList, args) => {
      parser.pushKeys(keyList);
      parser.push(...args.map(String));
    },
    transformReply: (reply) => reply,
  });

const PRESENCE = `
local sockets, names, online, replica = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function drop(sid)
  local name = redis.call('HGET', names, sid)
  redis.call('HDEL', names, sid)
  redis.call('HDEL', sockets, sid)
  redis.call('ZREM', online, sid)
  return name
end
`;

// Pass these to createClient({ scripts }).
export const registryScripts = {
  // A claim moves only from the owner that was seen, so that two takers have one winner.
  takeOverClaim: script(1, `
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1`),
  confirmClaim: script(1, `
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2])
    return 1`),
  releaseClaim: script(1, `
    if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
    return 0`),
  // 1 when the session came online by this socket.
  addSocket: script(4, `${PRESENCE}
    redis.call('HINCRBY', sockets, ARGV[1], 1)
    redis.call('HINCRBY', replica, ARGV[1], 1)
    redis.call('HSET', names, ARGV[1], ARGV[2])
    return redis.call('ZADD', online, 'NX', ARGV[3], ARGV[1])`),
  // The number of sockets left. The entry stays until dropIfGone, which the caller owes.
  removeSocket: script(4, `${PRESENCE}
    redis.call('HINCRBY', replica, ARGV[1], -1)
    return redis.call('HINCRBY', sockets, ARGV[1], -1)`),
  // The name of the session when it has just left, else nil.
  dropIfGone: script(4, `${PRESENCE}
    if tonumber(redis.call('HGET', replica, ARGV[1]) or '0') <= 0 then redis.call('HDEL', replica, ARGV[1]) end
    if tonumber(redis.call('HGET', sockets, ARGV[1]) or '0') > 0 then return nil end
    return drop(ARGV[1])`),
  renameOnline: script(4, `
    if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 0 end
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    return 1`),
  // Takes a dead replica's sockets out; returns the names that left with it.
  buryReplica: script(5, `${PRESENCE}
    local left = {}
    if redis.call('ZREM', KEYS[5], ARGV[1]) == 0 then return left end
    local held = redis.call('HGETALL', replica)
    redis.call('DEL', replica)
    for i = 1, #held, 2 do
      if redis.call('HINCRBY', sockets, held[i], -held[i + 1]) <= 0 then
        local name = drop(held[i])
        if name then left[#left + 1] = name end
      end
    end
    return left`),
};

export class Registry {
  #redis;
  #store;
  #id = randomUUID();
  #beat;

  // store: the session store; it says whether a claim's owner is still there.
  constructor(redis, store) {
    this.#redis = redis;
    this.#store = store;
  }

  // onDead(names): users that left because their replica died.
  async start(onDead) {
    const beat = async () => {
      const now = Date.now();
      await this.#redis.zAdd('app:replicas', { score: now + LEASE_MS, value: this.#id });
      for (const id of await this.#redis.zRangeByScore('app:replicas', 0, now)) onDead(await this.#bury(id));
    };
    await beat();
    this.#beat = setInterval(() => beat().catch((error) => console.error(`event=beat_failed error="${error.message}"`)), BEAT_MS);
  }

  async stop() {
    clearInterval(this.#beat);
    return this.#bury(this.#id);
  }

  // Takes the name for a session, pending; false when it is taken. `confirm` follows once the session is written.
  async claim(name, sid) {
    const key = `app:claim:${name}`;
    const owner = await this.#redis.set(key, `?${sid}`, { condition: 'NX', GET: true, EX: PENDING_S });
    if (owner === null) return true;
    if (owner.startsWith('?')) return false;
    const record = owner === sid ? null : await this.#store.get(owner);
    if (record?.userName === name) return false;
    return (await this.#redis.takeOverClaim([key], [owner, `?${sid}`, PENDING_S])) === 1;
  }

  // `sid`: the session that owns it from now on, when it is not the one that claimed.
  async confirm(name, claimant, sid = claimant) {
    await this.#redis.confirmClaim([`app:claim:${name}`], [`?${claimant}`, sid]);
  }

  release(name, sid) {
    return this.#redis.releaseClaim([`app:claim:${name}`], [sid]);
  }

  async addSocket(sid, name) {
    return (await this.#redis.addSocket(this.#keys(), [sid, name, Date.now()])) === 1;
  }

  removeSocket(sid) {
    return this.#redis.removeSocket(this.#keys(), [sid]);
  }

  dropIfGone(sid) {
    return this.#redis.dropIfGone(this.#keys(), [sid]);
  }

  async renameOnline(sid, name) {
    return (await this.#redis.renameOnline(this.#keys(), [sid, name])) === 1;
  }

  // {<name>: {userName}} of everybody online; above `limit` the newest, and always `own`.
  async online(own, limit = 1000) {
    const total = await this.#redis.zCard('app:online');
    let names;
    if (total <= limit) {
      names = await this.#redis.hVals('app:names');
    } else {
      const sids = await this.#redis.zRange('app:online', -(limit - 1), -1);
      names = [own, ...(await this.#redis.hmGet('app:names', sids)).filter((name) => name !== null)];
    }
    return usersByName(names);
  }

  // One page in the order of the names: {users, total}.
  async page(after, limit) {
    const names = (await this.#redis.hVals('app:names')).sort();
    const from = after === undefined ? 0 : names.findIndex((name) => name > after);
    return { users: usersByName(from < 0 ? [] : names.slice(from, from + limit)), total: names.length };
  }

  #keys(replica = this.#id) {
    return ['app:sockets', 'app:names', 'app:online', `app:replica:${replica}`];
  }

  #bury(replica) {
    return this.#redis.buryReplica([...this.#keys(replica), 'app:replicas'], [replica]);
  }
}

function usersByName(names) {
  return Object.fromEntries(names.map((userName) => [userName, { userName }]));
}
