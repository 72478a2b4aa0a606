// What a person wants to be told, by type and channel.

import { make } from '../../shared/dom.js';
import { CHANNELS, spaced } from '../parts/words.js';

const STATES = { default: 'default', on: 'on', off: 'off' };

// A choice of three: on, off, or what the app's defaults say.
function choice(label, chosen, isOn, change) {
  const select = make('select', chosen === undefined ? '' : isOn ? 'is-on' : 'is-off', ...Object.entries(STATES).map(([value, text]) =>
    new Option(value === 'default' && chosen === undefined ? `${text} (${isOn ? 'on' : 'off'})` : text, value)));
  select.value = chosen === undefined ? 'default' : chosen ? 'on' : 'off';
  select.setAttribute('aria-label', label);
  select.addEventListener('change', () => change({ default: null, on: true, off: false }[select.value]));
  return select;
}

export class Preferences {
  constructor(api, path, tell) {
    this.api = api;
    this.path = `${path}/preferences`;
    this.tell = tell;
    this.rows = make('tbody');
    this.head = make('tr');
    const table = make('table', 'preferences', make('thead', '', this.head), this.rows);
    table.setAttribute('aria-label', 'Preferences');
    const scroll = make('div', 'scroll', table);
    scroll.tabIndex = 0;
    this.told = make('p', 'form-says');
    this.told.setAttribute('role', 'status');
    this.root = make('details', '', make('summary', '', 'By type and channel'), scroll, this.told);
    this.root.addEventListener('toggle', () => this.root.open && this.#load().catch(tell));
  }

  async #load() {
    this.#show(await this.api.get(this.path));
  }

  async #change(changes) {
    try {
      this.#show(await this.api.patch(this.path, changes));
      this.told.textContent = 'Saved.';
    } catch (refused) {
      this.tell(refused);
      await this.#load();
    }
  }

  #show(said) {
    const channels = Object.keys(CHANNELS).filter((each) => Object.values(said.effective).some((row) => each in row));
    this.head.replaceChildren(...['Type', ...channels.map((each) => CHANNELS[each])].map((each) => make('th', '', each)));
    const active = document.activeElement?.getAttribute('aria-label');
    this.rows.replaceChildren(
      make('tr', 'all', make('th', '', 'All types'), ...channels.map((channel) => make('td', '',
        choice(`All types, ${CHANNELS[channel]}`, said.channels[channel], said.channels[channel] ?? true, (value) => this.#change({ channels: { [channel]: value } }))))),
      ...Object.entries(said.effective).map(([type, row]) => make('tr', '', make('th', '', spaced(type)), ...channels.map((channel) => make('td', '',
        choice(`${spaced(type)}, ${CHANNELS[channel]}`, said.types[type]?.[channel], row[channel], (value) => this.#change({ types: { [type]: { [channel]: value } } })))))));
    if (active) [...this.rows.querySelectorAll('select')].find((each) => each.getAttribute('aria-label') === active)?.focus();
  }
}
