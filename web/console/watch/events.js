// The newest events, and the trace of each as a waterfall in milliseconds.

import { make, opening, press } from '../../shared/dom.js';
import { chips, waterfall } from '../../shared/story.js';
import { moment } from '../../shared/time.js';

const PAGE = 50;
const MOST = 500; // lines: with more, and none open, the list begins anew

export class Events {
  static title = 'Events';
  static group = 'Activity';
  every_ms = 2_000;
  #seen = new Set();
  #cursor;

  constructor(room, api, { tell, asked: [id] }) {
    this.api = api;
    this.tell = tell;
    this.list = make('ol', 'lines');
    this.list.setAttribute('aria-label', 'Events, the newest first');
    this.found = make('div', 'found');
    this.empty = make('p', 'quiet', 'No event has come yet. “Send a test event” sends one.');
    this.older = press('Older', () => this.#more().catch(tell));
    this.older.hidden = this.empty.hidden = true; // nothing is said before it is known
    room.append(make('h2', '', 'Events', Object.assign(make('a', 'button', 'Send a test event'), { href: '#send' })), this.#search(id), this.found, this.empty, this.list, this.older);
    if (id) this.#find(id).catch(tell);
  }

  async refresh() {
    const page = await this.api.get('/v1/events', { limit: PAGE });
    const fresh = page.data.filter(({ notification }) => !this.#seen.has(notification));
    const isGap = fresh.length === PAGE; // more came meanwhile than a page holds
    if (isGap || (this.#seen.size > MOST && !this.list.querySelector('[open]'))) return this.#anew(page);
    this.list.prepend(...fresh.map((told) => this.#line(told)));
    this.empty.hidden = this.#seen.size > 0;
    this.#cursor ??= page.next_cursor;
    this.older.hidden = !this.#cursor;
  }

  #anew(page) {
    this.#seen.clear();
    this.#cursor = page.next_cursor;
    this.list.replaceChildren(...page.data.map((told) => this.#line(told)));
    this.empty.hidden = true;
    this.older.hidden = !this.#cursor;
  }

  async #more() {
    const page = await this.api.get('/v1/events', { limit: PAGE, cursor: this.#cursor });
    const fresh = page.data.filter(({ notification }) => !this.#seen.has(notification));
    this.list.append(...fresh.map((told) => this.#line(told)));
    this.#cursor = page.next_cursor;
    this.older.hidden = !this.#cursor;
  }

  #line(told) {
    this.#seen.add(told.notification);
    const line = opening(
      [
        make('time', '', moment(told.at)),
        make('span', `chip ${told.outcome}`, told.reason?.replaceAll('_', ' ') ?? told.outcome),
        make('span', 'what', make('b', '', told.title ?? told.type), ' ', make('small', '', told.title ? told.type : '')),
        make('span', 'who', told.name ?? told.recipient),
      ],
      () => this.#story(`/v1/notifications/${told.notification}/trace`),
      this.tell,
    );
    const entry = make('li', '', line);
    entry.dataset.event = told.event_id;
    return entry;
  }

  async #story(path) {
    const story = await this.api.get(path);
    const ids = make('dl', 'ids',
      make('dt', '', 'Event'), make('dd', '', story.event_id),
      make('dt', '', 'Notification'), make('dd', '', story.notification));
    const places = make('div', 'chips', ...chips(story));
    return [make('p', 'says', story.says), places, waterfall(story), ids];
  }

  #search(id = '') {
    const input = make('input');
    input.value = id;
    input.placeholder = 'Id of an event or a notification';
    input.setAttribute('aria-label', input.placeholder);
    const form = make('form', 'row', input, make('button', '', 'Show its trace'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#find(input.value.trim()).catch(this.tell);
    });
    return form;
  }

  async #find(id) {
    this.found.replaceChildren();
    this.tell('');
    if (!id) return;
    const named = encodeURIComponent(id);
    const story = await this.#story(`/v1/events/${named}/trace`).catch((refused) => {
      if (refused.status !== 404) throw refused;
      return this.#story(`/v1/notifications/${named}/trace`);
    });
    this.found.replaceChildren(...story);
  }
}
