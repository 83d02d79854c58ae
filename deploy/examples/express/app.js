// notes: an Express application as one writes them, with express-session, Passport and forms. What is SESIOR's in it is
// marked so: the store of the sessions, and one call that tells the user's browsers.
'use strict';

const { join } = require('node:path');

const express = require('express');
const session = require('express-session');
const { Passport } = require('passport');
const { Strategy } = require('passport-local');
const { SesiorStore } = require('sesior/express-session'); // SESIOR

const { COLORS, Notebook } = require('./notebook');
const { notesPage, signInPage } = require('./pages');

const WEEK_MS = 7 * 24 * 3600 * 1000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+)$/;

// session: addresses of sesior-session; realtime: URLs of sesior-realtime; secret: of the cookie, the same for all;
// file: where notes and accounts are kept.
function notesApp({ session: addresses, realtime, secret, file }) {
  const notebook = new Notebook(file);
  const store = new SesiorStore({ addresses }); // SESIOR
  const passport = new Passport();
  passport.use(
    new Strategy((name, password, done) => {
      notebook.signIn(name, password).then((account) => done(null, account ?? false, { message: 'That is not the password of this name.' }), done);
    }),
  );
  passport.serializeUser((account, done) => done(null, account.id));
  passport.deserializeUser((id, done) => done(null, notebook.account(id) ?? false));

  // All browsers of the user but the one that asks, which gets the answer.
  const tell = (req, event, ...args) => {
    const asker = req.get('Socket-Id');
    store.client.emit(event, args, { userIds: [req.user.id], except: asker ? [asker] : [] }) // SESIOR
      .catch((error) => console.error(`the other browsers were not told: ${error.message}`));
  };

  const app = express();
  app.disable('x-powered-by');
  app.use(express.static(join(__dirname, 'public'), { index: false }));
  app.use(session({ store, secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax', maxAge: WEEK_MS } }));
  app.use(passport.session());

  // Pages in turn on each replica: two browsers are on two of them. Behind a balancer this would be one address.
  let turn = 0;
  const replicaFor = (req) => {
    const url = new URL(realtime[turn++ % realtime.length]);
    if (LOOPBACK.test(req.hostname)) url.hostname = req.hostname; // the cookie belongs to a host name
    return url.origin;
  };

  app.get('/', (req, res) => {
    if (!req.user) {
      const [problem] = req.session.messages ?? [];
      delete req.session.messages;
      return res.set('Content-Security-Policy', "default-src 'self'").send(signInPage({ problem }));
    }
    const live = replicaFor(req);
    const policy = `default-src 'self'; script-src 'self' ${live}; connect-src 'self' ${live} ${live.replace('http', 'ws')}`;
    res.set('Content-Security-Policy', policy);
    res.send(notesPage({ name: req.user.name, live, color: req.session.color }));
  });

  // express-session lets a redirect go before it has saved; a fast browser would then ask without what was said in it.
  const redirectsWhenSaved = (req, res, next) => {
    const redirect = res.redirect.bind(res);
    res.redirect = (url) => req.session.save((error) => (error ? next(error) : redirect(url)));
    next();
  };
  const form = express.urlencoded({ extended: false, limit: '8kb' });
  app.post('/sign-in', form, redirectsWhenSaved, passport.authenticate('local', { successRedirect: '/', failureRedirect: '/', failureMessage: true }));
  app.post('/sign-out', (req, res, next) => {
    // The end of the session: also its sockets end, on every replica.
    req.session.destroy((error) => (error ? next(error) : res.clearCookie('connect.sid').redirect('/')));
  });

  const mine = [express.json({ limit: '16kb' }), (req, res, next) => (req.user ? next() : res.status(401).json({ error: 'Please sign in.' }))];
  app.get('/notes', mine, (req, res) => res.json(notebook.list(req.user.id)));
  app.post('/notes', mine, (req, res) => {
    const { note, problem } = notebook.add(req.user.id, req.body?.text, req.session.color ?? COLORS[0]);
    if (problem) return res.status(400).json({ error: problem });
    tell(req, 'note:added', note);
    res.status(201).json(note);
  });
  app.delete('/notes/:id', mine, (req, res) => {
    if (notebook.remove(req.user.id, req.params.id)) tell(req, 'note:removed', req.params.id);
    res.status(204).end();
  });
  // Kept in the session, whose sockets are told of it ("session:changed"): all tabs of this browser follow.
  app.put('/color', mine, (req, res) => {
    if (!COLORS.includes(req.body?.color)) return res.status(400).json({ error: `A color is one of ${COLORS.join(', ')}.` });
    req.session.color = req.body.color;
    res.status(204).end();
  });

  // With the session service away nobody is signed out: a moment later it goes on.
  app.use((error, req, res, next) => {
    if (res.headersSent) return next(error);
    const away = error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED';
    if (!away && !(error.status < 500)) console.error(error);
    if (away) res.set('Retry-After', '1');
    res.status(away ? 503 : (error.status ?? 500)).json({ error: away ? 'Sessions are away for a moment.' : 'That went wrong.' });
  });
  return { app, close: () => store.close() };
}

module.exports = { notesApp };
