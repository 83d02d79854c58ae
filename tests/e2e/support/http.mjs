// Plain HTTP/1.1 requests with nothing added, so that a test decides on every header.
import http from 'node:http';

const TIMEOUT_MS = 10_000;

// `path` goes out as it is, where a URL would tidy it up. Resolves with {status, headers, text, json, cookie}; json is undefined when the body is none, cookie is the session
// cookie that was set, as "connect.sid=…", or null.
export function request(url, { method = 'GET', path, cookie, headers = {}, json, form, body } = {}) {
  const all = { ...headers };
  if (cookie) all.cookie = cookie;
  if (json !== undefined) {
    body = JSON.stringify(json);
    all['content-type'] ??= 'application/json';
  }
  if (form !== undefined) {
    body = new URLSearchParams(form).toString();
    all['content-type'] ??= 'application/x-www-form-urlencoded';
  }
  if (body !== undefined) all['content-length'] ??= Buffer.byteLength(body);
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method, ...(path && { path }), headers: all, agent: false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        let parsed;
        try {
          parsed = JSON.parse(text);
        } catch {
          // No JSON; tests look at `text` then.
        }
        const set = (res.headers['set-cookie'] ?? []).find((line) => line.startsWith('connect.sid='));
        resolve({ status: res.statusCode, headers: res.headers, text, json: parsed, cookie: set?.split(';')[0] ?? null });
      });
    });
    req.setTimeout(TIMEOUT_MS, () => req.destroy(new Error(`no answer from ${url} within ${TIMEOUT_MS} ms`)));
    req.on('error', reject);
    req.end(body);
  });
}

// The REST side of one user: keeps its cookie.
export class Browser {
  cookie = null;

  constructor(base) {
    this.base = base;
  }

  async send(method, path, options = {}) {
    const response = await request(this.base + path, { method, cookie: this.cookie ?? undefined, ...options });
    if (response.cookie === 'connect.sid=') this.cookie = null;
    else if (response.cookie) this.cookie = response.cookie;
    return response;
  }

  get(path, options) {
    return this.send('GET', path, options);
  }

  post(path, options) {
    return this.send('POST', path, options);
  }

  register(userName) {
    return this.post('/register', { json: { userName } });
  }
}
