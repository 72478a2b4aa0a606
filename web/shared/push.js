// Push as a phone shows it.

import { make } from './dom.js';
import { minute } from './time.js';

const STAR = 'M12 4l2.2 5.8L20 12l-5.8 2.2L12 20l-2.2-5.8L4 12l5.8-2.2z';
const SVG = 'http://www.w3.org/2000/svg';

function icon() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const star = document.createElementNS(SVG, 'path');
  star.setAttribute('d', STAR);
  svg.append(star);
  return make('span', 'icon', svg);
}

const isSilent = ({ parcel }) => !parcel.title && !parcel.body;

export function pushCard({ parcel, at }) {
  return make(
    'article', 'push', icon(),
    make('div', 'said', make('b', '', parcel.title || 'Silent push'),
      parcel.body && make('p', '', parcel.body),
      isSilent({ parcel }) && make('p', '', 'Takes back what was shown before.')),
    make('time', '', minute(new Date(at))),
  );
}

// What is on the screen, the newest first: a later push replaces one with its collapse id, and a
// silent one takes it away.
export function onScreen(pushes) {
  const shown = new Map();
  for (const push of [...pushes].sort((one, other) => one.number - other.number)) {
    shown.delete(push.parcel.collapse_id);
    if (!isSilent(push)) shown.set(push.parcel.collapse_id, push);
  }
  return [...shown.values()].reverse();
}

// A locked phone. `show` keeps the cards that are there, so that only new ones come in.
export class Phone {
  #cards = new Map();

  constructor(root, owner) {
    this.root = root;
    this.list = make('div', 'cards');
    this.list.setAttribute('aria-live', 'polite');
    this.clock = make('b', 'clock');
    this.line = make('span', 'line');
    this.badge = make('b', 'appbadge');
    const app = make('div', 'app', icon(), this.badge);
    root.append(make('div', 'bar', make('span', 'island')), this.clock, this.line, this.list, app);
    root.classList.add('phone');
    root.setAttribute('role', 'region');
    root.setAttribute('aria-label', `${owner}’s phone`);
  }

  show(pushes, { quiet } = {}) {
    this.clock.textContent = minute(new Date());
    this.root.classList.toggle('night', Boolean(quiet));
    this.line.textContent = quiet ? '☾ Quiet hours' : new Date().toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });
    const shown = onScreen(pushes).slice(0, 4);
    const before = [...this.#cards.keys()].join();
    this.#cards = new Map(shown.map((push) => [push.number, this.#cards.get(push.number) ?? pushCard(push)]));
    // What is there is left alone: it would come in again.
    if ([...this.#cards.keys()].join() !== before) this.list.replaceChildren(...this.#cards.values());
    const badge = pushes.toSorted((one, other) => other.number - one.number)[0]?.parcel.badge;
    this.badge.textContent = badge ?? '';
    this.badge.hidden = !badge;
  }
}
