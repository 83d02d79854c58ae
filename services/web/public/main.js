// The page: who am I (REST), who else is here and what happens (Socket.IO), one session for both.
import * as api from './api.js';
import { Live } from './live.js';
import * as view from './view.js';

const AWAY = 'The session service is away. You are not signed out; this page goes on trying.';
const ENDED = {
  logout: 'Your session has ended: you signed out elsewhere. Pick a name to come back.',
  revoked: 'Your session has ended: it was ended from another of your devices.',
  expired: 'Your session has ended: it was not used for too long, or its time was up. Pick a name to come back.',
  banned: 'Your session has ended: an operator has ended it.',
  erased: 'Your session has ended: your data was erased.',
  limit: 'Your session has ended: you have signed in on too many other devices.',
  unknown: 'Your session has ended. Pick a name to come back.',
};
const RETRY_S = 2;
const DEVICES_EVERY_S = 20;

let live = null;
let me = null;
let endedBecause = null;  // what the server said before it closed the socket
let link = new URLSearchParams(location.hash.slice(1)).get('join') ?? undefined;  // from another device
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
  showDevices();
}

function signedOut(why) {
  me = null;
  online.clear();
  live.stop();
  view.clearFeed();
  view.clearDevices();
  view.connection('idle', 'Signed out');
  view.showWelcome();
  view.notice(why ?? null, 'info');
}

// A replica has turned this page away: asks REST whether the session is still there, then goes on as it says.
async function verifyAgain() {
  const name = await patiently(api.verifySession);
  if (name === null) return signedOut(ENDED[endedBecause] ?? ENDED.unknown);
  endedBecause = null;
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

// --- Your devices ----------------------------------------------------------------------------------------------------

let lookingAtDevices = false;

async function showDevices() {
  if (lookingAtDevices || me === null || document.hidden) return;
  lookingAtDevices = true;
  try {
    const sessions = await api.sessions();
    if (me !== null) view.devices(sessions, endDevice);
  } catch {
    // The next look comes soon; an end is told by the socket.
  } finally {
    lookingAtDevices = false;
  }
}

async function onDevices(action, done) {
  try {
    await action();
    view.devicesSaid(done);
  } catch (error) {
    view.devicesSaid(error.status === 404 ? 'That one had ended already.' : error.message);
  }
  await showDevices();
}

const endDevice = (session, words) => onDevices(() => api.endSession(session.handle), `Ended: ${words}.`);

setInterval(showDevices, DEVICES_EVERY_S * 1000);
document.addEventListener('visibilitychange', showDevices);

// A name changed by another way than this page's: told apart from its own by waiting for the acknowledgement.
async function sessionChanged({ userName }) {
  await sleep(0.3);
  if (typeof userName !== 'string' || me === null || userName === me) return;
  const before = me;
  me = userName;
  view.me(me);
  showOnline();
  view.tell([{ name: before }, ' was changed to ', { name: userName }], 'Session');
}

// --- News ------------------------------------------------------------------------------------------------------------

const news = {
  'session:changed': sessionChanged,
  'sesior:gap': () => view.tell(['Some news was lost on the way'], 'Socket'),
  'session:ended': ({ reason }) => {
    endedBecause = reason;
  },
  'user:joined': ({ userName }) => {
    online.add(userName);
    showOnline();
    showDevices();
    view.tell([{ name: userName }, ' joined'], 'Socket');
  },
  'user:renamed': ({ oldUserName, user }) => {
    renamed(oldUserName, user.userName);
    view.tell([{ name: oldUserName }, ' is now ', { name: user.userName }], 'Socket');
  },
  'user:left': (userName) => {
    online.delete(userName);
    showOnline();
    showDevices();
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
      if (name === null) return signedOut(ENDED[endedBecause] ?? ENDED.unknown);
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
  const name = await api.register(checkName(value), link).catch((error) => {
    if (link !== undefined && error.status === 400) joinBy(undefined);  // it is over: a name alone goes on
    throw error.away ? new Error('The session service is away. Try again in a moment.') : error;
  });
  view.notice(null);
  joinBy(undefined);
  endedBecause = null;
  signedIn(name);
  view.tell(['You joined as ', { name }], 'REST');
});

view.onSubmit('rename', async (value) => {
  const { oldUserName, user } = await live.ask('user:rename', checkName(value));
  if (oldUserName === user.userName) return;
  renamed(oldUserName, user.userName);
  view.tell(['You are now ', { name: user.userName }], 'Socket');
});

function joinBy(text) {
  link = text;
  view.joining(link !== undefined);
  if (link === undefined && location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
}

view.onEndOthers(() => onDevices(api.endOtherSessions, 'Ended all others.'));

view.onAddDevice(() =>
  onDevices(async () => {
    const made = await api.makeLink();
    view.deviceLink(`${location.origin}${location.pathname}#join=${encodeURIComponent(made.link)}`);
  }, ''),
);

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
if (name === null) {
  joinBy(link);
  signedOut();
} else {
  if (link !== undefined) view.notice('You are signed in here already: sign out first, then open the link again.', 'info');
  joinBy(undefined);
  signedIn(name);
}
