// Ben's inbox: an entry for each notification, where else it is, and its story on request.

import { make } from '../shared/dom.js';
import { chips, waterfall, whereabouts } from '../shared/story.js';

const MOST = 20; // entries: the newest

export class Inbox {
  constructor(list, empty, { trace }) {
    this.list = list;
    this.empty = empty;
    this.trace = trace;
    this.entries = new Map();
    this.open = new Set(); // those of which more is to be heard outside of the app
  }

  add(notification, badge, recovered) {
    if (!this.entries.has(notification.id)) this.#insert(notification);
    const line = this.entries.get(notification.id)?.querySelector('.line');
    if (badge && line?.childElementCount === 1) line.append(make('span', recovered ? 'badge recovered' : 'badge', badge));
  }

  #insert(notification) {
    const entry = make('li', notification.read_at ? '' : 'unread');
    entry.dataset.event = notification.event_id;
    entry.dataset.number = notification.number;
    entry.append(make('div', 'line', make('span', 'title', notification.title)));
    if (notification.body) entry.append(make('div', 'quiet', notification.body));
    entry.append(make('div', 'chips'), this.#why(notification));
    this.entries.set(notification.id, entry);
    this.open.add(notification.id);
    this.list.insertBefore(entry, [...this.list.children].find((each) => Number(each.dataset.number) < notification.number) ?? null);
    if (this.entries.size > MOST) this.#removeOldest();
    this.empty.hidden = true;
  }

  #removeOldest() {
    const oldest = this.list.lastElementChild;
    this.remove([...this.entries.keys()].filter((id) => this.entries.get(id) === oldest));
  }

  // A page as it was fetched; what came while it was on its way is newer, and stays.
  merge(page) {
    const known = new Set(page.map(({ id }) => id));
    const newest = Math.max(0, ...page.map(({ number }) => number));
    this.remove([...this.entries.entries()]
      .filter(([id, { dataset }]) => !known.has(id) && Number(dataset.number) <= newest).map(([id]) => id));
    for (const notification of page) this.add(notification);
  }

  // A burst grew: the same notification, in its new words.
  update(notification) {
    const entry = this.entries.get(notification.id);
    if (entry) entry.querySelector('.title').textContent = notification.title;
  }

  remove(ids) {
    for (const id of ids) {
      this.entries.get(id)?.remove();
      this.entries.delete(id);
      this.open.delete(id);
    }
    this.empty.hidden = this.entries.size > 0;
  }

  readAll() {
    for (const entry of this.entries.values()) entry.classList.remove('unread');
  }

  // Ask again for those that are still on their way, the newest first.
  async follow() {
    for (const id of [...this.open].slice(-8).reverse()) {
      const story = await this.trace(id);
      const entry = this.entries.get(id);
      entry.querySelector('.chips').replaceChildren(...chips(story));
      const places = whereabouts(story);
      if (places.length > 0 && !places.some(({ open }) => open)) this.open.delete(id);
      if (entry.querySelector('details').open) {
        entry.querySelector('.waterfall')?.replaceWith(waterfall(story));
      }
    }
  }

  // The last moments of a story are written down a little after they happened.
  async #whole(id) {
    for (let attempt = 0; ; attempt += 1) {
      const trace = await this.trace(id);
      if (attempt === 10 || trace.steps.some((step) => step.step === 'published')) return trace;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #why(notification) {
    const details = document.createElement('details');
    details.append(make('summary', '', 'Why, and how fast?'));
    details.addEventListener('toggle', async () => {
      if (!details.open || details.childElementCount > 1) return;
      const trace = await this.#whole(notification.id);
      details.append(make('p', 'quiet', trace.says), waterfall(trace));
    });
    return details;
  }
}
