// The two pages, as text. `html` escapes what is put into it.
'use strict';

const { COLORS } = require('./notebook');

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (value) => String(value ?? '').replace(/[&<>"']/g, (character) => ENTITIES[character]);

class Html {
  constructor(text) {
    this.text = text;
  }
}

function html(strings, ...values) {
  const part = (value) => (Array.isArray(value) ? value.map(part).join('') : value instanceof Html ? value.text : escape(value));
  return new Html(String.raw({ raw: strings }, ...values.map(part)));
}

const NOTHING = new Html('');

const page = (title, content, head = NOTHING) => html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title}</title>
  <link rel="icon" href="/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/style.css">
  ${head}
</head>
<body>
${content}
</body>
</html>
`.text;

const brand = html`<a class="brand" href="/"><img src="/icon.svg" alt="" width="32" height="32">Notes</a>`;

const signInPage = ({ problem }) =>
  page('Notes: sign in', html`<main class="welcome">
  ${brand}
  <h1>Write it here,<br>read it there.</h1>
  <p class="lead">An Express application with Passport. Its sessions live in SESIOR, so its sockets know who you are, on every browser, at once.</p>
  <form class="card" method="post" action="/sign-in">
    <p class="problem" role="alert">${problem}</p>
    <label>Name <input name="username" autocomplete="username" maxlength="40" required autofocus></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
    <button class="primary">Sign in</button>
    <p class="hint">A new name is yours with the password that you choose for it.</p>
  </form>
</main>`);

const notesPage = ({ name, live, color }) =>
  page(`Notes of ${name}`, html`<header class="bar">
  ${brand}
  <p id="live" class="pill" role="status" data-state="waiting"><span class="dot"></span><span id="live-text">Connecting</span></p>
  <p class="who"><span class="avatar" aria-hidden="true">${[...name][0].toUpperCase()}</span><bdi>${name}</bdi></p>
  <form method="post" action="/sign-out"><button>Sign out</button></form>
</header>
<main id="notes" data-live="${live}" data-color="${color ?? COLORS[0]}">
  <h1 class="unseen">Your notes</h1>
  <form id="new" class="composer">
    <label class="unseen" for="text">New note</label>
    <textarea id="text" rows="3" maxlength="1000" placeholder="A thought, a list, a reminder"></textarea>
    <div class="row">
      <fieldset id="colors"><legend class="unseen">Color</legend>${COLORS.map((each) => html`
        <label class="swatch ${each}"><input type="radio" name="color" value="${each}"><span class="unseen">${each}</span></label>`)}
      </fieldset>
      <button class="primary">Add note</button>
    </div>
    <p id="problem" class="problem" role="alert"></p>
  </form>
  <p id="empty" class="empty" hidden>No notes yet. What you write here appears in your other browsers as you add it.</p>
  <ul id="list" class="list"></ul>
</main>
<p id="news" class="news" role="status"></p>`, html`<script src="${live}/socket.io/socket.io.js" defer></script>
  <script src="/notes.js" defer></script>`);

module.exports = { notesPage, signInPage };
