// A real Express application on the system's Redis: express, express-session and connect-redis, in this process.
import { createServer } from 'node:http';

import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';

import { SECRET } from '../../e2e/support/system.mjs';

export class ExpressApp {
  url;
  redis;
  #server;
  #gates = new Map();

  // options: what session() takes; ttl, disableTTL: what the store takes.
  static async start(system, { ttl, disableTTL, ...options } = {}) {
    const app = new ExpressApp();
    app.redis = createClient({ url: system.redis });
    app.redis.on('error', () => {});
    await app.redis.connect();
    // One store a middleware: it keeps the cookie options of the last one.
    const store = new RedisStore({ client: app.redis, ttl, disableTTL });
    const handler = express();
    handler.set('env', 'test');  // errors go to the answer, not to the console
    handler.use(session({ store, secret: SECRET, resave: false, saveUninitialized: false, ...options }));
    app.#routes(handler);
    app.#server = createServer(handler);
    await new Promise((resolve) => app.#server.listen(0, '127.0.0.1', resolve));
    app.url = `http://127.0.0.1:${app.#server.address().port}`;
    return app;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.redis.close();
  }

  // Lets the request that waits at POST /slow?gate=NAME go on. It has loaded its session before `waiting` resolves.
  gate(name) {
    const gate = {};
    gate.opened = new Promise((resolve) => (gate.open = resolve));
    gate.waiting = new Promise((resolve) => (gate.arrived = resolve));
    this.#gates.set(name, gate);
    return gate;
  }

  #routes(handler) {
    const members = ({ cookie, ...data }) => data;
    handler.use(express.json());
    handler.get('/session', (req, res) => res.json(members(req.session)));
    handler.post('/session', (req, res) => {
      Object.assign(req.session, req.body);
      res.json(members(req.session));
    });
    handler.post('/slow', async (req, res) => {
      const gate = this.#gates.get(req.query.gate);
      gate.arrived();
      await gate.opened;
      Object.assign(req.session, req.body);
      res.json(members(req.session));
    });
    handler.post('/max-age', (req, res) => {
      req.session.cookie.maxAge = req.body.maxAge;
      req.session.touched = (req.session.touched ?? 0) + 1;
      res.json(members(req.session));
    });
    handler.post('/regenerate', (req, res, next) =>
      req.session.regenerate((error) => {
        if (error) return next(error);
        Object.assign(req.session, req.body);
        res.json(members(req.session));
      }),
    );
    handler.post('/destroy', (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.json({}))));
    // Every name that a member of a session could not have: it is there already.
    handler.get('/names', (req, res) => {
      const names = new Set(['cookie']);
      for (let at = req.session; at !== null; at = Object.getPrototypeOf(at)) {
        for (const name of Object.getOwnPropertyNames(at)) names.add(name);
      }
      res.json([...names]);
    });
  }
}
