// The page: who am I (REST), who else is here and what happens (Socket.IO), one session for both.
import * as api from './api.js';
import { Live } from './live.js';
import * as view from './view.js';

const AWAY = 'The session service is away. You are not signed out; this page goes on trying.';
const ENDED = 'Your session has ended. Pick a name to come back.';
const RETRY_S = 2;

let live = null;
let me = null;
const online = new Set();

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Repeats a question for as long as the service is away: an outage never signs anybody out.
async function patiently(question) {
  for (;;) {
    try {
      const answer = await question();
      view.notice(null);
      return answer;
    } catch (error) {
      if (!error.away) throw error;
      view.notice(AWAY, 'waiting');
      view.connection('waiting', 'Service away');
      await sleep(error.retryAfter ?? RETRY_S);
    }
  }
}

function checkName(value) {
  const name = value.trim();
  if (name === '') throw new Error('Please enter a name.');
  if ([...name].length > 64) throw new Error('A name has at most 64 characters.');
  return name;
}

// --- Signed in, signed out -------------------------------------------------------------------------------------------

function signedIn(name) {
  me = name;
  view.me(name);
  view.showRoom();
  live.start();
}

function signedOut(why) {
  me = null;
  online.clear();
  live.stop();
  view.clearFeed();
  view.connection('idle', 'Signed out');
  view.showWelcome();
  view.notice(why ?? null, 'info');
}

// A replica has turned this page away: asks REST whether the session is still there, then goes on as it says.
async function verifyAgain() {
  const name = await patiently(api.verifySession);
  if (name === null) return signedOut(ENDED);
  await sleep(1);
  if (me !== null) signedIn(name);
}

// --- Live ------------------------------------------------------------------------------------------------------------

function showOnline() {
  view.online([...online].sort((a, b) => (a === me ? -1 : b === me ? 1 : a.localeCompare(b))), me);
}

function renamed(oldName, newName) {
  online.delete(oldName);
  online.add(newName);
  if (oldName === me) {
    me = newName;
    view.me(me);
  }
  showOnline();
}

const news = {
  'user:joined': ({ userName }) => {
    online.add(userName);
    showOnline();
    view.tell([{ name: userName }, ' joined'], 'Socket');
  },
  'user:renamed': ({ oldUserName, user }) => {
    renamed(oldUserName, user.userName);
    view.tell([{ name: oldUserName }, ' is now ', { name: user.userName }], 'Socket');
  },
  'user:left': (userName) => {
    online.delete(userName);
    showOnline();
    view.tell([{ name: userName }, ' left'], 'Socket');
  },
};

async function connected() {
  view.connection('live', `Live on replica ${live.index + 1}`);
  for (;;) {
    try {
      const users = await live.ask('user:connected', me);
      live.settled();
      online.clear();
      for (const name of Object.keys(users)) online.add(name);
      showOnline();
      return;
    } catch {
      // The connection is gone (another one comes), or the name was changed elsewhere, or the service is away.
      if (!live.connected) return;
      const name = await patiently(api.verifySession);
      if (name === null) return signedOut(ENDED);
      if (name === me) await sleep(RETRY_S);
      me = name;
      view.me(me);
    }
  }
}

function onState({ detail: { state, index } }) {
  view.chosenReplica(index);
  if (state === 'connected') connected();
  if (state === 'connecting') view.connection('waiting', `Connecting to replica ${index + 1}`);
  if (state === 'waiting') view.connection('waiting', `Reconnecting, replica ${index + 1}`);
}

function rememberReplica(index) {
  const url = new URL(location.href);
  url.searchParams.set('replica', String(index + 1));
  history.replaceState(null, '', url);
}

// The replica of ?replica=N, from 1, else any.
function firstReplica(count) {
  const wanted = Number(new URLSearchParams(location.search).get('replica'));
  return Number.isInteger(wanted) && wanted >= 1 && wanted <= count ? wanted - 1 : Math.floor(Math.random() * count);
}

// --- Start -----------------------------------------------------------------------------------------------------------

view.onSubmit('register', async (value) => {
  const name = await api.register(checkName(value)).catch((error) => {
    throw error.away ? new Error('The session service is away. Try again in a moment.') : error;
  });
  view.notice(null);
  signedIn(name);
  view.tell(['You joined as ', { name }], 'REST');
});

view.onSubmit('rename', async (value) => {
  const { oldUserName, user } = await live.ask('user:rename', checkName(value));
  if (oldUserName === user.userName) return;
  renamed(oldUserName, user.userName);
  view.tell(['You are now ', { name: user.userName }], 'Socket');
});

view.onLogout(async () => {
  live.stop();
  try {
    await api.logout();
    signedOut();
  } catch (error) {
    live.start();
    view.notice(error.away ? 'You are still signed in: the session service is away. Try again in a moment.' : error.message);
  }
});

const { realtime } = await patiently(api.config);
live = new Live(realtime, firstReplica(realtime.length));
live.addEventListener('state', onState);
live.addEventListener('event', ({ detail: { name, data } }) => news[name]?.(data));
live.addEventListener('refused', verifyAgain);
live.addEventListener('ended', verifyAgain);
view.replicas(live.replicas, (index) => {
  rememberReplica(index);
  live.moveTo(index);
});

const name = await patiently(api.verifySession);
if (name === null) signedOut();
else signedIn(name);
