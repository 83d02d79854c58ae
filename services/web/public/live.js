// Live keeps one Socket.IO connection to any of the realtime replicas. It uses the official client, loaded from the
// replica itself; when a replica cannot be reached it goes on to the next one, for as long as it is started.
// Threading: one connection at a time; an answer of a connection that was given up is ignored.

const EVENT_TIMEOUT_MS = 8_000;
const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 8_000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

// The cookie belongs to a host name, so a replica on this machine is addressed by the name that the page was opened with.
function reachable(url) {
  const address = new URL(url, document.baseURI);
  if (LOOPBACK.test(address.hostname) && LOOPBACK.test(location.hostname)) address.hostname = location.hostname;
  return address.origin;
}

let client = null;

// Loads the official client from `origin`, once for all replicas.
function loadClient(origin) {
  client ??= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${origin}/socket.io/socket.io.js`;
    script.onload = () => resolve(window.io);
    script.onerror = () => {
      client = null;
      script.remove();
      reject(new Error('client not loaded'));
    };
    document.head.append(script);
  });
  return client;
}

export class Live extends EventTarget {
  #replicas;
  #index;
  #socket = null;
  #leaving = null;  // the socket of the replica that is being left, open until the next one has taken over
  #attempt = 0;
  #timer = null;
  #round = 0;

  // first: the replica to begin with. Events, all CustomEvents:
  //   state    {state: 'connecting' | 'connected' | 'waiting' | 'stopped', index}
  //   refused  the server says that there is no session
  //   ended    the server has closed this socket
  //   event    {name, data}: what the server tells
  constructor(replicas, first) {
    super();
    this.#replicas = replicas.map(reachable);
    this.#index = first;
  }

  get replicas() {
    return this.#replicas;
  }

  get index() {
    return this.#index;
  }

  get connected() {
    return this.#socket?.connected ?? false;
  }

  start() {
    if (this.#socket === null && this.#timer === null) this.#open();
  }

  stop() {
    this.#drop();
    this.settled();
    this.#tell('stopped');
  }

  // Goes to another replica. The old connection stays until settled(), so that nobody sees the user leave.
  moveTo(index) {
    this.settled();
    this.#leaving = this.#socket;
    this.#socket = null;
    this.#drop();
    this.#index = index;
    this.#attempt = 0;
    this.#open();
  }

  // The present connection has taken over.
  settled() {
    this.#leaving?.disconnect();
    this.#leaving = null;
  }

  // Resolves with the acknowledgement's data, or rejects with an Error that has the server's words.
  ask(name, argument) {
    return new Promise((resolve, reject) => {
      if (!this.#socket?.connected) return reject(new Error('Not connected. Try again in a moment.'));
      this.#socket.timeout(EVENT_TIMEOUT_MS).emit(name, argument, (late, error, data) => {
        if (late) reject(new Error('The server did not answer in time.'));
        else if (error) reject(new Error(error));
        else resolve(data);
      });
    });
  }

  async #open() {
    const round = ++this.#round;
    const current = () => round === this.#round;
    this.#timer = null;
    this.#tell(this.#attempt === 0 ? 'connecting' : 'waiting');
    let io;
    try {
      io = await loadClient(this.#replicas[this.#index]);
    } catch {
      if (current()) this.#next();
      return;
    }
    if (!current()) return;

    const socket = io(this.#replicas[this.#index], {
      withCredentials: true,
      forceNew: true,
      reconnection: false,
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#attempt = 0;
      this.#tell('connected');
    });
    socket.on('connect_error', (error) => {
      if (!current()) return;
      if (error.message === 'Not authorized') {
        this.stop();
        this.dispatchEvent(new CustomEvent('refused'));
      } else {
        this.#next();
      }
    });
    socket.on('disconnect', (reason) => {
      if (!current()) return;
      if (reason === 'io server disconnect') {
        this.stop();
        this.dispatchEvent(new CustomEvent('ended'));
      } else {
        this.#next();
      }
    });
    socket.onAny((name, data) => current() && this.dispatchEvent(new CustomEvent('event', { detail: { name, data } })));
  }

  // Tries the next replica, later each time, and not all browsers at once.
  #next() {
    this.#drop();
    this.#index = (this.#index + 1) % this.#replicas.length;
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#attempt++, LONGEST_DELAY_MS);
    this.#timer = setTimeout(() => this.#open(), longest * (0.5 + Math.random() / 2));
    this.#tell('waiting');
  }

  #drop() {
    ++this.#round;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#socket?.disconnect();
    this.#socket = null;
  }

  #tell(state) {
    this.dispatchEvent(new CustomEvent('state', { detail: { state, index: this.#index } }));
  }
}
