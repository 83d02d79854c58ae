// An Express application with the store under test, and a browser's worth of HTTP for it.
import http from 'node:http';

import express from 'express';
import session from 'express-session';

import { SECRET } from '../../../../../tests/clients/service.mjs';

export class App {
  // routes(app): adds its routes. Errors that reach Express are kept in `errors`.
  static async start(store, routes, options = {}) {
    const self = new App();
    self.errors = [];
    const app = express();
    app.use(session({ store, secret: SECRET, resave: false, saveUninitialized: false, ...options }));
    routes(app);
    app.use((error, req, res, next) => {
      self.errors.push(error);
      if (res.headersSent) next(error);
      else res.status(500).end(error.message);
    });
    self.server = http.createServer(app);
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.url = `http://127.0.0.1:${self.server.address().port}`;
    return self;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  browser() {
    return new Browser(this.url);
  }
}

export class Browser {
  cookie = null;
  setCookie = null; // the last whole header

  constructor(url) {
    this.url = url;
  }

  async get(path) {
    const response = await fetch(this.url + path, { headers: this.cookie ? { cookie: this.cookie } : {}, redirect: 'manual' });
    const text = await response.text();
    [this.setCookie = null] = response.headers.getSetCookie().filter((line) => line.startsWith('connect.sid='));
    if (this.setCookie) this.cookie = this.setCookie.split(';')[0];
    return { status: response.status, text, json: () => JSON.parse(text) };
  }

  get id() {
    const value = decodeURIComponent(this.cookie.slice('connect.sid='.length));
    return value.slice(2, value.lastIndexOf('.'));
  }
}
