import { SessionData, Store } from 'express-session';

import { IncomingMessage } from 'node:http';

import { Device, Sesior, SesiorOptions } from './index';

export interface SesiorStoreOptions extends SesiorOptions {
  /** A client to share; default: one of its own, by the options of Sesior. */
  client?: Sesior;
  /** Idle limit in seconds where the cookie sets none, as with connect-redis; default: the service's. */
  ttl?: number | ((session: SessionData) => number);
  /** Requests that change nothing do not renew the idle limit. */
  disableTouch?: boolean;
  /**
   * The user that a session belongs to, asked when it is made and until it has one; default: Passport's. Counts when it
   * is a number, or a string of 1 to 128 visible ASCII characters without braces.
   */
  userId?: (session: SessionData) => unknown;
  /** Where a session is used from, told when it is made and when its user signs in; default: `req.ip` and the user agent. */
  device?: (req: IncomingMessage) => Device | undefined;
}

/**
 * Emits `dropped`, {operation, reason}, for a write that came after its session had ended.
 * One store for each `session()`: express-session keeps cookie options on it.
 */
export class SesiorStore extends Store {
  constructor(options?: SesiorStoreOptions);
  readonly client: Sesior;
  /** Such writes so far. */
  readonly dropped: number;
  close(): void;

  get(sid: string): Promise<SessionData | null>;
  get(sid: string, callback: (error: unknown, session?: SessionData | null) => void): void;
  set(sid: string, session: SessionData): Promise<void>;
  set(sid: string, session: SessionData, callback?: (error?: unknown) => void): void;
  touch(sid: string, session: SessionData): Promise<void>;
  touch(sid: string, session: SessionData, callback?: () => void): void;
  destroy(sid: string): Promise<void>;
  destroy(sid: string, callback?: (error?: unknown) => void): void;
}
