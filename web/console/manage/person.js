// One person: profile, devices, quiet hours, preferences, notifications, and the end of it.

import { make } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { sure } from '../parts/confirm.js';
import { Form } from '../parts/form.js';
import { Table, facts } from '../parts/table.js';
import { called } from '../parts/words.js';
import { Erasing, erasureOf } from './erase.js';
import { Preferences } from './preferences.js';
import { Quiet } from './quiet.js';

const ZONES = Intl.supportedValuesOf?.('timeZone') ?? [];
const PLATFORMS = { ios: 'iOS', android: 'Android', web: 'Browser' };

export const PROFILE = [
  { name: 'name', label: 'Name', most: 128 },
  { name: 'email', label: 'Mail address', kind: 'email', most: 254 },
  { name: 'avatar_url', label: 'Address of the picture', kind: 'url', placeholder: 'https://' },
  { name: 'locale', label: 'Language', most: 35, placeholder: 'en', hint: 'Such as en, de-AT or pt-BR.' },
  { name: 'timezone', label: 'Time zone', most: 64, placeholder: 'UTC', hint: 'Such as Europe/Lisbon.' },
];

// Suggestions for the field of a time zone.
export function zones(input) {
  const list = make('datalist', '', ...ZONES.map((zone) => Object.assign(make('option'), { value: zone })));
  list.id = `${input.id}-zones`;
  input.setAttribute('list', list.id);
  input.after(list);
}

export class Person {
  #filled = false;
  #key = '';

  constructor(room, api, { tell, asked: [id] }) {
    this.api = api;
    this.tell = tell;
    this.id = id;
    this.path = `/v1/users/${encodeURIComponent(id)}`;
    this.title = make('h2', '', '…');
    this.facts = make('div');
    this.links = make('div', 'row');
    this.profile = new Form({
      label: 'Profile', submit: 'Save', says: 'Saved.', codes: { external_id_taken: 'external_id' },
      fields: [...PROFILE, { name: 'external_id', label: 'Your id', most: 128, hint: 'The id by which your app knows the person.' }],
      send: (values) => api.patch(this.path, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value ?? null]))),
      done: (person) => this.#show(person),
    });
    zones(this.profile.fields.get('timezone').input);
    this.devices = new Table('Devices', ['Device', 'Token', 'Registered', 'Seen last', '']);
    this.noDevices = make('p', 'quiet', 'No device is registered: this person gets no push.');
    this.inbox = new Table('Inbox', ['Title', 'Type', 'Came', 'State']);
    this.noInbox = make('p', 'quiet', 'The inbox is empty.');
    this.devices.root.hidden = this.noDevices.hidden = this.inbox.root.hidden = this.noInbox.hidden = true;
    this.suspension = make('div', 'row');
    const back = Object.assign(make('a', '', 'All people'), { href: '#people' });
    this.rest = make('div', 'sections',
      part('Profile', this.profile.root), part('Devices', this.noDevices, this.devices.root),
      part('Quiet hours', new Quiet(api, this.path, tell).root), part('Preferences', new Preferences(api, this.path, tell).root),
      part('Inbox', this.noInbox, this.inbox.root),
      part('Shut out or erase', this.suspension, new Erasing(api, this, tell).root));
    this.room = room;
    room.append(make('p', 'back', back), this.title, this.facts, this.links, this.rest);
    this.rest.hidden = true;
  }

  async refresh() {
    if (this.erased) return;
    try {
      const [person, devices, inbox] = await Promise.all([
        this.api.get(this.path), this.api.get(`${this.path}/devices`),
        this.api.get('/v1/notifications', { user: this.id, state: 'all', limit: 20 }),
      ]);
      this.#show(person);
      this.#showDevices(devices.data);
      this.#showInbox(inbox.data);
    } catch (refused) {
      if (refused.status !== 404) throw refused;
      await this.gone();
    }
  }

  // Nobody is there: perhaps since the person was erased.
  async gone() {
    this.erased = true;
    const said = await erasureOf(this.api, this.id);
    this.title.textContent = said ? 'Erased' : 'There is nobody with this id';
    this.rest.hidden = true;
    this.links.replaceChildren();
    this.facts.replaceChildren(...(said ? [said.root] : []));
    said?.watch(this.tell);
  }

  #show(person) {
    this.person = person;
    const key = JSON.stringify(person);
    if (key === this.#key) return;
    this.#key = key;
    this.title.replaceChildren(make('span', '', called(person)), person.suspended ? make('span', 'chip dead', 'suspended') : '');
    this.facts.replaceChildren(facts({
      'Nova’s id': person.id, 'Your id': person.external_id, Created: moment(person.created_at), Changed: moment(person.updated_at),
    }));
    const to = (href, text) => Object.assign(make('a', '', text), { href });
    this.links.replaceChildren(to(`#send/${person.id}`, 'Send a test event'), to(`#outbox/${person.id}`, 'Push and mail'),
      to(`#posts/by/${person.id}`, 'Posts'), to(`#deliveries///${person.id}`, 'Deliveries'));
    this.rest.hidden = false;
    if (!this.#filled) this.profile.fill(person); // what somebody types now is left alone
    this.#filled = true;
    const label = person.suspended ? 'End the suspension' : 'Suspend';
    const really = person.suspended ? 'Let this person in again?' : 'Close all sockets and refuse all tokens?';
    if (this.suspension.dataset.is === label) return;
    this.suspension.dataset.is = label;
    this.suspension.replaceChildren(
      sure(label, really, () => this.api.patch(this.path, { suspended: !person.suspended }).then((now) => this.#show(now)).catch(this.tell)),
      make('p', 'hint', 'While a person is suspended, their tokens are refused, their sockets are closed, and nobody else sees them.'));
  }

  #showDevices(devices) {
    this.noDevices.hidden = devices.length > 0;
    this.devices.root.hidden = devices.length === 0;
    this.devices.show(devices, (each) => [
      [PLATFORMS[each.platform] ?? each.platform, each.app === 'default' ? '' : make('small', '', ` ${each.app}`),
        each.dead_at ? make('span', 'chip dead', `dead since ${moment(each.dead_at)}: ${each.dead_reason}`) : ''],
      make('code', '', shortened(each.token)), moment(each.created_at), moment(each.seen_at),
      sure('Forget', 'Send no more push to it?', () => this.api.delete(`${this.path}/devices/${each.id}`).then(() => this.refresh()).catch(this.tell)),
    ]);
  }

  #showInbox(data) {
    this.noInbox.hidden = data.length > 0;
    this.inbox.root.hidden = data.length === 0;
    this.inbox.show(data, (each) => {
      const link = Object.assign(make('a', '', each.title), { href: `#events/${each.id}` });
      const state = each.archived_at ? 'archived' : each.read_at ? 'read' : each.seen_at ? 'seen' : 'new';
      return [link, each.type, moment(each.created_at), state];
    });
  }
}

function part(title, ...inside) {
  const section = make('section', 'part', make('h3', '', title), ...inside);
  section.setAttribute('aria-label', title);
  return section;
}

const shortened = (token) => (token.length > 26 ? `${token.slice(0, 12)}…${token.slice(-10)}` : token);
