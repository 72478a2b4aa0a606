// Ben's socket and its state; and, when the server itself is away, a line that says so.

import { Api } from '../shared/api.js';
import { make } from '../shared/dom.js';

const $ = (id) => document.getElementById(id);
const AGAIN_MS = 1_000;
const LOST = 'Nova does not answer. The page tries again by itself. If you stopped the demo, start it with “nova demo”, and open the address that it prints.';

const endpoint = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`;
const session = async () => (await new Api().get('/demo/session')).people;

export function socketOf(people, name) {
  // Tokens last for a day; the page may stay open for longer.
  return new Centrifuge(endpoint, { token: people[name].token, getToken: async () => (await session())[name].token });
}

// `anew` is called when the socket does not know what was published before: fetch it.
export class Connection {
  #ben;
  #away = new Set(); // who cannot reach the server: the socket, or the page's own calls
  #starting = false;

  constructor(people, { heard, anew, back, tried }) {
    this.isDropped = false;
    this.#ben = people.ben;
    this.socket = socketOf(people, 'ben');
    this.socket.on('state', ({ newState }) => this.#show(newState));
    this.socket.on('connecting', ({ code }) => code !== 0 && this.#mark('socket', true));
    this.socket.on('connected', () => this.#mark('socket', false));
    this.socket.on('disconnected', ({ code }) => code !== 0 && this.renew());
    this.socket.on('publication', ({ data }) => heard(data));
    this.socket.on('subscribed', ({ wasRecovering, recovered }) => !(wasRecovering && recovered) && anew());
    this.back = back;
    $('drop').addEventListener('click', () => {
      this.#drop(!this.isDropped);
      tried();
    });
  }

  // The outcome of a call of the page: whether the server answered.
  answered(error) {
    this.#mark('calls', error?.status === 0);
    if (error?.status === 401) this.renew();
  }

  // The server does not know the token: after a restart with new data, it is another Ben.
  async renew() {
    if (this.#starting) return;
    this.#starting = true;
    try {
      const people = await session();
      if (people.ben.id !== this.#ben.id) return location.reload();
      this.socket.setToken(people.ben.token);
      if (!this.isDropped) this.socket.connect();
    } catch (error) {
      this.answered(error);
      setTimeout(() => this.renew(), AGAIN_MS);
    } finally {
      this.#starting = false;
    }
  }

  #drop(isDropped) {
    this.isDropped = isDropped;
    $('drop').textContent = isDropped ? 'Connect Ben again' : 'Disconnect Ben';
    if (isDropped) this.socket.disconnect();
    else this.socket.connect();
  }

  #show(state) {
    $('state').textContent = state;
    $('state').className = `state ${state}`;
  }

  #mark(who, isAway) {
    const before = this.#away.size > 0;
    if (isAway) this.#away.add(who);
    else this.#away.delete(who);
    const now = this.#away.size > 0;
    if (before === now) return;
    $('lost').replaceChildren(...(now ? [make('p', '', LOST)] : []));
    if (!now) this.back();
  }
}
