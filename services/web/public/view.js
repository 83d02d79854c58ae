// What is on the screen. Names, and what devices say of themselves, reach the document only as text.
import { ago, describeDevice } from './device.js';

const $ = (id) => document.getElementById(id);
const FEED_LIMIT = 100;
const HUES = 12;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const segments = new Intl.Segmenter();

function paintAvatar(element, name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  element.classList.remove(...[...element.classList].filter((c) => c.startsWith('hue-')));
  element.classList.add(`hue-${hash % HUES}`);
  element.textContent = segments.segment(name)[Symbol.iterator]().next().value?.segment.toLocaleUpperCase() ?? '';
}

function clone(template) {
  return $(template).content.firstElementChild.cloneNode(true);
}

// A name in running text: isolated, so that a right-to-left one does not reorder its surroundings.
function nameElement(name) {
  const element = document.createElement('bdi');
  element.textContent = name;
  return element;
}

// --- Which part is shown ---------------------------------------------------------------------------------------------

export function showWelcome() {
  $('room').hidden = true;
  $('welcome').hidden = false;
  $('register-name').focus();
  document.title = 'SESIOR';
}

export function showRoom() {
  $('welcome').hidden = true;
  $('room').hidden = false;
}

export function notice(text, kind = 'error') {
  if ($('notice').textContent === (text ?? '')) return;
  $('notice').hidden = !text;
  $('notice').dataset.kind = kind;
  $('notice').textContent = text ?? '';
}

// state: 'idle', 'live' or 'waiting'; the words say the same.
export function connection(state, text) {
  $('connection').dataset.state = state;
  $('connection-text').textContent = text;
  $('rename').querySelector('button').disabled = state !== 'live';
}

// --- You -------------------------------------------------------------------------------------------------------------

export function me(name) {
  $('me-name').textContent = name;
  paintAvatar($('me-avatar'), name);
  document.title = `${name} · SESIOR`;
}

// addresses: one per replica; onChoose(index) when the user picks one.
export function replicas(addresses, onChoose) {
  $('replica-choices').replaceChildren(
    ...addresses.map((address, index) => {
      const choice = clone('replica-template');
      const radio = choice.querySelector('input');
      radio.value = String(index);
      radio.addEventListener('change', () => onChoose(index));
      choice.querySelector('.choice-name').textContent = `Replica ${index + 1}`;
      choice.querySelector('.choice-address').textContent = new URL(address).host;
      return choice;
    }),
  );
  $('replicas').hidden = addresses.length < 1;
}

export function chosenReplica(index) {
  for (const radio of $('replica-choices').querySelectorAll('input')) radio.checked = Number(radio.value) === index;
}

// --- Your devices ----------------------------------------------------------------------------------------------------

let shownDevices = '';
let linkWasListed = false;

// sessions: as api.sessions() gives them; onEnd(session, words) when the user ends one.
export function devices(sessions, onEnd) {
  const items = sessions.map((session) => {
    const { words, kind } = describeDevice(session.device);
    const seen = session.current ? 'active now' : session.device.label === 'link' ? 'not used yet' : `seen ${ago(session.lastSeen)}`;
    return { session, words, kind, facts: [session.address, `since ${ago(session.created)}`, seen].filter(Boolean).join(' · ') };
  });
  // Untouched when nothing has changed: a list that is made anew every time loses the keyboard's place.
  const news = JSON.stringify(items);
  if (news === shownDevices) return;
  shownDevices = news;
  const focused = document.activeElement.closest?.('.device')?.dataset.handle;
  $('devices-count').textContent = String(sessions.length);
  $('end-others').hidden = sessions.length < 2;
  // Listed once and no more: it was used, or is too old. A list from before it was made says nothing.
  const isLinkListed = sessions.some(({ device }) => device.label === 'link');
  if (linkWasListed && !isLinkListed) deviceLink(null);
  linkWasListed = isLinkListed;
  $('devices').replaceChildren(
    ...items.map(({ session, words, kind, facts }) => {
      const device = clone('device-template');
      device.dataset.handle = session.handle;
      device.dataset.kind = kind;
      device.querySelector('.device-words').textContent = words;
      device.querySelector('.device-facts').textContent = facts;
      device.querySelector('.you').hidden = !session.current;
      const end = device.querySelector('button');
      end.hidden = session.current;
      end.setAttribute('aria-label', `End ${words}, ${facts}`);
      end.addEventListener('click', () => onEnd(session, words));
      return device;
    }),
  );
  if (focused === undefined) return;
  const again = [...$('devices').children].find((device) => device.dataset.handle === focused)?.querySelector('button');
  if (again && !again.hidden) again.focus();
  else $('devices-title').focus();
}

export function clearDevices() {
  shownDevices = '';
  $('devices').replaceChildren();
  $('devices-said').textContent = '';
  deviceLink(null);
}

export function devicesSaid(text) {
  $('devices-said').textContent = text;
}

export function onEndOthers(action) {
  $('end-others').addEventListener('click', action);
}

// action() makes the link.
export function onAddDevice(action) {
  $('add-device').addEventListener('click', action);
  $('copy-link').addEventListener('click', async () => {
    $('link-url').select();
    const copied = await navigator.clipboard?.writeText($('link-url').value).then(() => true, () => false);
    devicesSaid(copied ? 'Copied.' : 'The link is selected: copy it.');
  });
}

// null: none is shown.
export function deviceLink(url) {
  $('link').hidden = url === null;
  $('link-url').value = url ?? '';
  if (url !== null) $('link-url').select();
}

// The page was opened by a link from another device.
export function joining(isJoining) {
  $('joining').hidden = !isJoining;
}

// --- Others ----------------------------------------------------------------------------------------------------------

// names: all who are online, in the order to show; own: the name that is marked.
export function online(names, own) {
  $('online-count').textContent = String(names.length);
  $('online').replaceChildren(
    ...names.map((name) => {
      const person = clone('person-template');
      paintAvatar(person.querySelector('.avatar'), name);
      person.querySelector('.name').textContent = name;
      person.querySelector('.you').hidden = name !== own;
      return person;
    }),
  );
}

// parts: texts, and {name} for a name. channel: by which the news came.
export function tell(parts, channel) {
  const entry = clone('entry-template');
  const first = parts.find((part) => part.name !== undefined);
  paintAvatar(entry.querySelector('.avatar'), first?.name ?? '·');
  entry.querySelector('.what').append(...parts.map((part) => (part.name === undefined ? part : nameElement(part.name))));
  entry.querySelector('.channel').textContent = channel;
  const time = entry.querySelector('time');
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = clock.format(now);
  entry.classList.add('new');
  $('feed').prepend(entry);
  while ($('feed').children.length > FEED_LIMIT) $('feed').lastElementChild.remove();
  $('feed-empty').hidden = true;
}

export function clearFeed() {
  $('feed').replaceChildren();
  $('feed-empty').hidden = false;
}

// --- Forms -----------------------------------------------------------------------------------------------------------

// submit(name) does it, or throws an Error whose message is shown beside the field.
export function onSubmit(form, submit) {
  const element = $(form);
  const input = element.querySelector('input');
  const error = element.querySelector('.field-error');
  const complain = (text) => {
    error.textContent = text;
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  input.addEventListener('input', () => complain(''));
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (element.ariaBusy === 'true') return;
    element.ariaBusy = 'true';
    complain('');
    try {
      await submit(input.value);
      input.value = '';
    } catch (problem) {
      complain(problem.message);
      input.focus();
    } finally {
      element.ariaBusy = 'false';
    }
  });
}

export function onLogout(action) {
  $('logout').addEventListener('click', action);
}
