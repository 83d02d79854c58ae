// The page: shows the notes, sends new ones over Express, and hears over the socket what happened in other browsers.
const main = document.getElementById('notes');
const { live: url } = main.dataset;
const part = (id) => document.getElementById(id);
let color = main.dataset.color;
let shown = []; // the notes, newest first
let socket = null;

async function ask(method, path, body) {
  const headers = body ? { 'Content-Type': 'application/json' } : {};
  if (socket?.connected) headers['Socket-Id'] = socket.id; // to be left out when the others are told
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  if (response.status === 401) location.reload(); // the session has ended: the server shows where to sign in
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function attempt(step) {
  part('problem').textContent = '';
  return step().catch((error) => (part('problem').textContent = error.message));
}

const agoOf = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

function card(note, isNew) {
  const item = document.createElement('li');
  item.className = `note ${note.color}${isNew ? ' new' : ''}`;
  const text = document.createElement('p');
  text.textContent = note.text;
  const foot = document.createElement('div');
  const time = document.createElement('time');
  time.dateTime = new Date(note.time).toISOString();
  time.textContent = agoOf.format(note.time);
  const remove = document.createElement('button');
  remove.textContent = 'Throw away';
  remove.addEventListener('click', () =>
    attempt(async () => {
      await ask('DELETE', `/notes/${note.id}`);
      show(without(note.id));
    }),
  );
  foot.append(time, remove);
  item.append(text, foot);
  return item;
}

function show(notes, { fresh = new Set() } = {}) {
  shown = notes;
  part('list').replaceChildren(...notes.map((note) => card(note, fresh.has(note.id))));
  part('empty').hidden = notes.length > 0;
}

const refresh = async () => show(await ask('GET', '/notes'));

// A note that was not there stands out.
const add = (note) => show([note, ...without(note.id)], { fresh: new Set([note.id]) });
const without = (id) => shown.filter((note) => note.id !== id);

let silence;
function say(text) {
  part('news').textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (part('news').textContent = ''), 4000);
}

function showColor() {
  for (const input of part('colors').querySelectorAll('input')) input.checked = input.value === color;
  part('new').dataset.color = color;
}

part('colors').addEventListener('change', (event) => {
  color = event.target.value;
  showColor();
  attempt(() => ask('PUT', '/color', { color }));
});

part('new').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    const note = await ask('POST', '/notes', { text: part('text').value });
    part('text').value = '';
    add(note);
  });
});
part('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) part('new').requestSubmit();
});

function state(name, text) {
  part('live').dataset.state = name;
  part('live-text').textContent = text;
}

// The official client, as in any Socket.IO application: the browser sends Express's cookie along.
function connect() {
  socket = io(url, { withCredentials: true, transports: ['websocket', 'polling'] });
  socket.on('connect', () => {
    state('live', 'Live');
    refresh().catch(() => {}); // what was missed while there was no connection; the next connection tries again
  });
  socket.on('connect_error', () => state('waiting', 'Reconnecting'));
  socket.on('disconnect', (reason) => reason !== 'io server disconnect' && state('waiting', 'Reconnecting'));
  socket.on('note:added', (note) => {
    add(note);
    say('A note from another browser');
  });
  socket.on('note:removed', (id) => {
    show(without(id));
    say('Thrown away in another browser');
  });
  socket.on('notice', ({ text }) => say(text)); // from a job in any language, say: see the README
  socket.on('session:changed', (changed) => {
    if (!changed.color) return;
    color = changed.color;
    showColor();
  });
  socket.on('session:ended', () => location.reload());
}

showColor();
attempt(refresh);
if (globalThis.io) connect();
else state('waiting', 'Not live: reload the page');
