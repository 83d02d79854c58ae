// The REST side of the session. Every function answers the parsed body or throws an ApiError.

export class ApiError extends Error {
  // status: the HTTP status, or 0 when no answer came. retryAfter: seconds, or null.
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  // The service is away, which says nothing about the session: ask again later.
  get away() {
    return this.status === 0 || this.status >= 500;
  }
}

const TIMEOUT_MS = 10_000;

// Where the API is: beside the page, unless the page's config.json names another place in `api`.
let base = document.baseURI;

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(new URL(path, base), {
      method,
      credentials: 'include',
      cache: 'no-store',
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, 'The server does not answer.');
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  throw new ApiError(response.status, answer?.error ?? `The server answered ${response.status}.`, retryAfter || null);
}

// {realtime: [URL…]}: where the live connection can be had.
export async function config() {
  const answer = await call('GET', new URL('config.json', document.baseURI));
  if (answer.api) base = new URL(answer.api, document.baseURI).href;
  return answer;
}

// The signed-in user's name, or null.
export async function verifySession() {
  const answer = await call('GET', 'verify-session');
  return answer.sessionVerified ? answer.user.userName : null;
}

// link: from another device of the same user, or undefined.
export async function register(userName, link) {
  return (await call('POST', 'register', { userName, link })).user.userName;
}

// [{handle, device: {userAgent, label}, address, created, lastSeen, current}…], newest first.
export async function sessions() {
  return (await call('GET', 'sessions?limit=200')).sessions;
}

export async function endSession(handle) {
  await call('DELETE', `sessions/${encodeURIComponent(handle)}`);
}

export async function endOtherSessions() {
  await call('DELETE', 'sessions?except=current');
}

// What another device registers with to become the same user: {link, seconds}.
export async function makeLink() {
  return call('POST', 'sessions/link');
}

export async function logout() {
  await call('POST', 'logout');
}
