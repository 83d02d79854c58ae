/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** A session by its id, by the Cookie header of a request, or one that was read before. */
export type SessionRef = string | { cookie: string } | { id: string };

export type Verdict = 'valid' | 'absent' | 'malformed' | 'forged' | 'unknown';
export type EndReason = 'unspecified' | 'logout' | 'login' | 'rotation' | 'revoked' | 'banned' | 'expired' | 'erased';

export interface Session<Data = Record<string, unknown>> {
  /** A secret: it belongs in no log. */
  readonly id: string;
  /** The record without its member `cookie`; undefined in lists. */
  readonly data: Data;
  /** The same as JSON text, as its writers wrote it. */
  readonly dataJson: string;
  /** Empty: none. */
  readonly userId: string;
  /** Says "same or not". */
  readonly etag: string;
  /** Grows with every write. */
  readonly revision: number;
  readonly createTime?: Date;
  readonly lastSeenTime?: Date;
  /** Undefined: never by idling. */
  readonly expireTime?: Date;
  /** Undefined: no absolute limit. */
  readonly absoluteExpireTime?: Date;
  /** The last write was not made through SESIOR. */
  readonly foreignWriter: boolean;
  /** What users may be shown in place of the id. */
  readonly handle: string;
  readonly device?: Device;
  /** Only where it was asked for; else empty. */
  readonly cookieJson: string;
}

/** Where a session is used from. */
export interface Device {
  address?: string;
  userAgent?: string;
  label?: string;
}

/** A user's sessions: by the user's id (role admin), or by a session of the same user. */
export type UserRef = { userId: string; caller?: undefined } | { caller: SessionRef; userId?: undefined };

export interface Claim {
  namespace: string;
  value: string;
  member: string;
  previousPlaceholder?: string;
}

export interface CallOptions {
  /** For the call with all its retries; default: the client's. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  claims?: Claim[];
  /** 1 to 64 of [A-Za-z0-9_-]; default: a new one for each call. The same one again within 60 s changes nothing more. */
  requestId?: string;
}

/** What only an application of Express says of its sessions; see sesior.session.v1.ExpressWrite. */
export interface ExpressWrite {
  sessionId?: string;
  cookieJson?: string;
  idleTtlMs?: number;
  nullPlaceholder?: string;
}

export interface WriteResult<Data = Record<string, unknown>> {
  session: Session<Data>;
  /** A Set-Cookie value that is due; else empty. */
  setCookie: string;
  /** For each claim of the request the value held before; undefined: none. */
  previous: (string | undefined)[];
}

export interface Broadcast {
  /** Default "/". */
  namespace?: string;
  /** Default: everybody in the namespace. */
  rooms?: string[];
  except?: string[];
}

export interface Position {
  namespace: string;
  epoch: string;
  offset: number;
}

export interface Tls {
  /** PEM text, bytes, or the path of a file. Default: the machine's roots. */
  ca?: string | Uint8Array;
  /** The client's own certificate and key; together or not at all. */
  cert?: string | Uint8Array;
  key?: string | Uint8Array;
  /** The name in the server's certificate, where the address has another. */
  serverName?: string;
}

export interface SesiorOptions {
  /** host:port of the session replicas, a list or one text with commas; default 127.0.0.1:7100. */
  addresses?: string | Iterable<string>;
  /** Default: no TLS. */
  tls?: Tls | true;
  /** The bearer token, or what gives it for each call. */
  token?: string | (() => string);
  /** Deadline of a call with all its retries; default 2000. */
  timeoutMs?: number;
  /** Tries of a call that answers UNAVAILABLE; default 5. */
  maxTries?: number;
}

export class SesiorError extends Error {
  /** gRPC's name, "NOT_FOUND". */
  readonly code: string;
  /** "SESSION_DESTROYED"; empty: none. The table is in proto/README.md. */
  readonly reason: string;
  /** The request's field, or the record's member, that was wrong; empty: none. */
  readonly field: string;
  readonly retryAfterMs?: number;
  readonly method: string;
}

export type WatchChange<Data = Record<string, unknown>> =
  | { kind: 'current' | 'updated' | 'touched'; ref: SessionRef; session: Session<Data> }
  | { kind: 'ended'; ref: SessionRef; reason: EndReason }
  | { kind: 'refused'; ref: SessionRef; verdict: Verdict };

/**
 * Each session has one `current` or `refused`, then `updated` and `touched`, at last `ended`. A broken stream is opened
 * again: what changed meanwhile comes as `updated` or `ended`. An error that does not mend itself is emitted as
 * `error`, thrown by the loop, and closes the watch.
 */
export class SessionWatch extends EventEmitter implements AsyncIterable<WatchChange> {
  private constructor();
  add(...sessions: SessionRef[]): this;
  remove(...sessions: SessionRef[]): this;
  readonly size: number;
  close(): void;
  [Symbol.asyncIterator](): AsyncGenerator<WatchChange, void, void>;
  on(event: 'change' | 'current' | 'updated' | 'touched' | 'ended' | 'refused', listener: (change: WatchChange) => void): this;
  on(event: 'interrupted' | 'error', listener: (error: SesiorError) => void): this;
  on(event: 'close', listener: () => void): this;
}

/** Every call rejects with a SesiorError. UNAVAILABLE is retried, nothing else; it never means "logged out". */
export class Sesior {
  constructor(options?: SesiorOptions);
  /** Calls under way fail, watches close. */
  close(): void;

  resolveCookie<Data = Record<string, unknown>>(
    header: string | undefined,
    options?: CallOptions & { touch?: boolean },
  ): Promise<{ verdict: Verdict; session?: Session<Data>; setCookie: string }>;
  /** Null: there is none. */
  getSession<Data = Record<string, unknown>>(
    session: SessionRef,
    options?: CallOptions & { touch?: boolean; withCookieJson?: boolean },
  ): Promise<Session<Data> | null>;
  /** Any number of them, a hundred a call; those that are not there are left out. */
  getSessions<Data = Record<string, unknown>>(ids: Iterable<string>, options?: CallOptions): Promise<Map<string, Session<Data>>>;
  createSession<Data = Record<string, unknown>>(
    options?: WriteOptions & {
      data?: object | string; userId?: string; device?: Device; idleTtlMs?: number; absoluteTtlMs?: number; express?: ExpressWrite;
    },
  ): Promise<WriteResult<Data>>;
  /** `patch`: a JSON merge patch; null deletes. */
  updateSession<Data = Record<string, unknown>>(
    session: SessionRef,
    patch?: object | string,
    options?: WriteOptions & {
      etag?: string;
      touch?: boolean;
      /** Goes out in the same step, or not at all. */
      announce?: Broadcast & { event: string; args?: unknown[]; onlyIfOnline?: boolean };
      /** A session that has a user keeps it. */
      userIdIfNone?: string;
      device?: Device;
      express?: ExpressWrite;
    },
  ): Promise<WriteResult<Data>>;
  touchSession(session: SessionRef, options?: CallOptions): Promise<{ touched: boolean; expireTime?: Date }>;
  /** A new id; call it at login and at every gain of privilege. */
  regenerateSession<Data = Record<string, unknown>>(
    session: SessionRef,
    options?: WriteOptions & { reason?: EndReason; keepData?: boolean; patch?: object | string; etag?: string; userId?: string },
  ): Promise<WriteResult<Data>>;
  destroySession(
    session: SessionRef,
    options?: CallOptions & { reason?: EndReason; etag?: string; requestId?: string },
  ): Promise<{ destroyed: boolean; clearCookie: string }>;

  /** Newest first, with handles in place of ids and without data; `nextPageToken` empty: that was the last page. */
  listSessions(
    options: CallOptions & UserRef & { pageSize?: number; pageToken?: string },
  ): Promise<{ sessions: Session[]; nextPageToken: string; currentHandle: string }>;
  /** All of them, or the one with `handle`, or all but one. */
  endUserSessions(
    options: CallOptions & UserRef & { handle?: string; exceptCaller?: boolean; exceptSessionId?: string; reason?: EndReason },
  ): Promise<{ ended: number; clearCookie: string }>;

  watch(...sessions: SessionRef[]): SessionWatch;

  /** An event for Socket.IO clients on every realtime replica; arguments may hold Buffers. */
  publish(
    event: string,
    args?: unknown[],
    options?: Broadcast & CallOptions & { volatile?: boolean; requestId?: string },
  ): Promise<Position>;

  /**
   * An event for all sockets of users, of sessions, in rooms (the union; without any: everybody), on every realtime replica.
   * Role: backend. Arguments may hold Buffers.
   */
  emit(
    event: string,
    args?: unknown[],
    options?: CallOptions & {
      namespace?: string; rooms?: string[]; userIds?: string[]; sessionIds?: string[]; except?: string[]; requestId?: string;
    },
  ): Promise<Position>;

  listOnline(
    options?: CallOptions & { namespace?: string; newestFirst?: boolean; after?: string; limit?: number },
  ): Promise<{ total: number; entries: { key: string; value: unknown; since?: Date }[] }>;
  countOnline(options?: CallOptions & { namespace?: string }): Promise<number>;

  /** One answer for each address; never rejects. */
  health(options?: { timeoutMs?: number }): Promise<{ address: string; serving: boolean; error?: SesiorError }[]>;
}
