// People: found, created, and one of them to look at and change.

import { make, press } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { Form } from '../parts/form.js';
import { Table } from '../parts/table.js';
import { called } from '../parts/words.js';
import { Person, PROFILE } from './person.js';

const PAGE = 50;
const NEW = '+'; // nobody's id
const WAIT_MS = 250;

export class People {
  static title = 'People';
  static group = 'Data';
  every_ms = 10_000;

  constructor(room, api, context) {
    const [id] = context.asked;
    if (id === NEW) this.inner = new NewPerson(room, api);
    else this.inner = id ? new Person(room, api, context) : new List(room, api, context);
  }

  async refresh() {
    await this.inner.refresh?.();
  }
}

class List {
  #cursor;

  constructor(room, api, { tell }) {
    this.api = api;
    this.tell = tell;
    this.search = make('input');
    Object.assign(this.search, { type: 'search', placeholder: 'Name, mail address or id', maxLength: 128, autocomplete: 'off' });
    this.search.setAttribute('aria-label', 'Search for people');
    this.search.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh().catch(tell), WAIT_MS);
    });
    const form = make('form', 'row', this.search, Object.assign(make('a', 'button', 'Create a person'), { href: `#people/${NEW}` }));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.refresh().catch(tell);
    });
    this.table = new Table('People', ['Name', 'Your id', 'Mail', 'Language', 'Time zone', 'Created']);
    this.empty = make('p', 'quiet', '');
    this.older = press('More', () => this.#more().catch(tell));
    this.older.hidden = true;
    room.append(make('h2', '', 'People'), form, this.empty, this.table.root, this.older);
  }

  async refresh() {
    const search = this.search.value.trim();
    const page = await this.api.get('/v1/users', search ? { search, limit: PAGE } : { order: 'newest', limit: PAGE });
    if (search !== this.search.value.trim()) return; // somebody else is looked for by now
    this.table.root.hidden = page.data.length === 0;
    this.empty.textContent = page.data.length ? `The first ${PAGE} found. Type more to find others.`
      : search ? 'Nobody has such a name, mail address or id.' : 'There is nobody yet. Your backend creates people with POST /v1/users/bulk.';
    this.empty.hidden = page.data.length > 0 && !(search && page.data.length === PAGE);
    if (this.table.show(page.data, row)) this.#goesOn(page);
  }

  async #more() {
    const page = await this.api.get('/v1/users', { order: 'newest', limit: PAGE, cursor: this.#cursor });
    this.table.add(page.data, row);
    this.#goesOn(page);
  }

  #goesOn(page) {
    this.#cursor = page.next_cursor;
    this.older.hidden = !this.#cursor;
  }
}

function row(person) {
  const link = make('a', '', called(person));
  link.href = `#people/${person.id}`;
  return [[link, person.suspended ? make('span', 'chip dead', 'suspended') : ''],
    person.external_id ?? '', person.email ?? '', person.locale, person.timezone, moment(person.created_at)];
}

class NewPerson {
  constructor(room, api) {
    const back = Object.assign(make('a', '', 'All people'), { href: '#people' });
    const form = new Form({
      label: 'New person', submit: 'Create', codes: { external_id_taken: 'external_id' },
      fields: [{ name: 'external_id', label: 'Your id', most: 128, hint: 'The id by which your app knows the person. Tokens and events name it.' }, ...PROFILE],
      send: (values) => api.post('/v1/users', Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))),
      done: ({ id }) => { location.hash = `#people/${id}`; },
    });
    room.append(make('p', 'back', back), make('h2', '', 'Create a person'), form.root);
  }
}
