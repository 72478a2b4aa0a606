// Server keys: which there are, a new one (shown once), and the end of one.

import { make } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { sure } from '../parts/confirm.js';
import { secretOnce } from '../parts/copy.js';
import { Form } from '../parts/form.js';
import { Table } from '../parts/table.js';

export class Keys {
  static title = 'Keys';
  static group = 'System';
  every_ms = 10_000;

  constructor(room, api, { tell }) {
    this.api = api;
    this.tell = tell;
    const form = new Form({
      label: 'New key', submit: 'Make a key',
      fields: [{ name: 'name', label: 'What the key is for', most: 128, required: true }],
      send: ({ name }) => api.post('/v1/keys', { name }),
      done: (made) => {
        form.clear();
        this.#made(made);
      },
    });
    this.made = make('div', 'made');
    this.made.setAttribute('role', 'status');
    this.table = new Table('Server keys', ['Name', 'Begins with', 'Made', 'Used last', '']);
    room.append(make('h2', '', 'Server keys'), form.root, this.made, this.table.root,
      make('p', 'quiet', 'A key may do everything. Nova keeps only its digest, so nobody can read it again. “Used last” is right within a minute. A revoked key stops to work everywhere within a second.'));
  }

  async refresh() {
    const { data } = await this.api.get('/v1/keys');
    this.table.show(data, (each) => this.#row(each));
  }

  #row(each) {
    const isOwn = Boolean(each.prefix) && this.api.token.startsWith(each.prefix);
    const revoke = sure('Revoke', isOwn ? 'Revoke, and sign out?' : 'Revoke for good?', () => this.#revoke(each.id));
    revoke.setAttribute('aria-description', each.name);
    return [
      [each.name, isOwn ? make('span', 'chip', 'you') : ''],
      each.prefix ? make('code', '', `${each.prefix}…`) : make('small', '', 'not known'),
      moment(each.created_at),
      each.used_at ? moment(each.used_at) : make('small', '', 'not yet'), revoke,
    ];
  }

  #made({ name, secret }) {
    this.made.replaceChildren(...secretOnce(['The key ', make('b', '', name), ' is shown this once:'], secret, () => this.made.replaceChildren()));
    this.refresh().catch(this.tell);
  }

  async #revoke(id) {
    try {
      await this.api.delete(`/v1/keys/${id}`);
      await this.refresh();
    } catch (refused) {
      this.tell(refused);
    }
  }
}
