// Picks a person: what is typed is looked for, and arrow keys choose (the combobox of WAI-ARIA).

import { make } from '../../shared/dom.js';
import { called } from './words.js';

const WAIT_MS = 200;
const MOST = 8;
let made = 0;

// `input` is the field; its value is the chosen person's id, or whatever was typed.
export class Picker {
  #chosen = null;
  #found = [];
  #active = -1;
  #asked = 0;

  constructor(api, { placeholder = 'Name, mail address or id', label, onChange = () => {} } = {}) {
    this.api = api;
    this.onChange = onChange;
    this.input = make('input');
    this.list = make('ul', 'options');
    this.list.id = `people-${made += 1}`;
    this.list.hidden = true;
    this.list.setAttribute('role', 'listbox');
    this.list.setAttribute('aria-label', 'People');
    this.told = make('span', 'unseen');
    this.told.setAttribute('role', 'status');
    Object.assign(this.input, { placeholder, autocomplete: 'off', spellcheck: false, maxLength: 128 });
    for (const [name, value] of Object.entries({
      role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': this.list.id,
    })) this.input.setAttribute(name, value);
    if (label) this.input.setAttribute('aria-label', label);
    this.root = make('div', 'picker', this.input, this.list, this.told);
    this.input.addEventListener('input', () => this.#typed());
    this.input.addEventListener('focus', () => this.#look());
    this.input.addEventListener('blur', () => this.#close());
    this.input.addEventListener('keydown', (pressed) => this.#key(pressed));
  }

  // Either id of the person.
  get value() {
    const typed = this.input.value.trim();
    return this.#chosen && typed === this.#shownAs(this.#chosen) ? this.#chosen.id : typed || undefined;
  }

  set value(id) {
    this.#chosen = null;
    this.input.value = id ?? '';
  }

  choose(person) {
    this.#chosen = person;
    this.input.value = person ? this.#shownAs(person) : '';
    this.#close();
    this.onChange();
  }

  #shownAs(person) {
    return called(person);
  }

  #typed() {
    this.#chosen = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#look(), WAIT_MS);
  }

  async #look() {
    const search = this.#chosen ? '' : this.input.value.trim();
    const asked = (this.#asked += 1);
    const query = search ? { search, limit: MOST } : { order: 'newest', limit: MOST };
    const { data } = await this.api.get('/v1/users', query).catch(() => ({ data: [] }));
    if (asked !== this.#asked || document.activeElement !== this.input) return;
    this.#found = data;
    this.#active = -1;
    this.list.replaceChildren(...data.map((person, at) => this.#option(person, at)));
    this.told.textContent = data.length ? `${data.length} found` : 'Nobody found';
    this.#open(data.length > 0);
  }

  #option(person, at) {
    const option = make('li', '', make('b', '', called(person)), ' ',
      make('small', '', [person.external_id !== called(person) && person.external_id, person.email].filter(Boolean).join(' · ')));
    option.id = `${this.list.id}-${at}`;
    option.setAttribute('role', 'option');
    option.addEventListener('mousedown', (pressed) => {
      pressed.preventDefault(); // the field keeps the focus
      this.choose(person);
    });
    return option;
  }

  #key(pressed) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[pressed.key];
    if (step && this.#found.length) {
      pressed.preventDefault();
      this.#open(true);
      this.#mark((this.#active + step + this.#found.length) % this.#found.length);
    } else if (pressed.key === 'Enter' && !this.list.hidden && this.#active >= 0) {
      pressed.preventDefault();
      this.choose(this.#found[this.#active]);
    } else if (pressed.key === 'Escape' && !this.list.hidden) {
      pressed.stopPropagation();
      this.#close();
    }
  }

  #mark(at) {
    this.#active = at;
    for (const [number, option] of [...this.list.children].entries()) {
      option.setAttribute('aria-selected', String(number === at));
      if (number !== at) continue;
      option.scrollIntoView({ block: 'nearest' });
      this.input.setAttribute('aria-activedescendant', option.id);
    }
  }

  #open(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute('aria-expanded', String(isOpen));
  }

  #close() {
    this.#asked += 1;
    this.#active = -1;
    this.input.removeAttribute('aria-activedescendant');
    this.#open(false);
  }
}
