// Types of notifications: their templates by language, and their defaults.

import { make } from '../../shared/dom.js';
import { sure } from '../parts/confirm.js';
import { Form } from '../parts/form.js';
import { Table } from '../parts/table.js';
import { CHANNELS, spaced } from '../parts/words.js';

const NEW = '+'; // no type's name
const EMPTY = { templates: { en: { title: '', body: '' } }, fallback: 'en', channels: {}, critical: false };
const PLACEHOLDERS = ['actor.name', 'recipient.name', 'others', 'metadata.title', 'metadata.title|your post'];
const path = (name) => `/v1/notification-types/${encodeURIComponent(name)}`;

export class Types {
  static title = 'Types';
  static group = 'Set up';
  every_ms = 15_000;

  constructor(room, api, context) {
    const [name] = context.asked;
    this.inner = name === undefined || name === '' ? new List(room, api) : new Type(room, api, context);
  }

  async refresh() {
    await this.inner.refresh?.();
  }
}

class List {
  constructor(room, api) {
    this.api = api;
    this.table = new Table('Types', ['Type', 'Title', 'Languages', 'Channels', 'Kind']);
    room.append(make('h2', '', 'Types of notifications', Object.assign(make('a', 'button', 'Add a type'), { href: `#types/${NEW}` })),
      make('p', 'quiet', 'What an event is called in `event_type`, and what people read of it.'.replaceAll('`', '')), this.table.root);
  }

  async refresh() {
    const types = await this.api.get('/v1/notification-types');
    this.table.show(types, ({ name, built_in: builtIn, changed, kind }) => {
      const link = Object.assign(make('a', '', spaced(name)), { href: `#types/${name}` });
      const off = Object.entries(kind.channels ?? {}).map(([channel, isOn]) => `${CHANNELS[channel] ?? channel}: ${isOn ? 'on' : 'off'}`);
      return [link, make('span', 'template', kind.templates[kind.fallback ?? 'en']?.title ?? ''), Object.keys(kind.templates).join(', '),
        off.join(', ') || 'all', [make('span', 'chip', builtIn ? changed ? 'built in, changed' : 'built in' : 'your own'), kind.critical ? make('span', 'chip dead', 'critical') : '']];
    });
  }
}

// One type. It is loaded once: what somebody types is left alone.
class Type {
  constructor(room, api, { tell, asked: [name] }) {
    this.api = api;
    this.tell = tell;
    this.name = name === NEW ? '' : name;
    this.wordings = make('div', 'wordings');
    this.wordings.tabIndex = -1;
    this.acts = make('div', 'row');
    this.form = new Form({
      label: 'Type', submit: 'Save', says: 'Saved.',
      codes: { bad_type_name: 'name', bad_template: 'templates', no_template: 'fallback', too_many_types: 'name' },
      fields: [
        ...(this.name ? [] : [{ name: 'name', label: 'Name', required: true, most: 64, placeholder: 'order_shipped', hint: 'As events call it: a-z first, then 0-9, _ and -, too.' }]),
        { name: 'templates', label: 'Texts', wide: true, control: this.wordings, read: () => this.#texts(), write: () => {} },
        { name: 'fallback', label: 'Language for everybody else', most: 35, placeholder: 'en', hint: 'For people whose own language has no text here.' },
        { name: 'lifetime_days', label: 'Days in the inbox', kind: 'number', hint: 'The deployment’s setting when empty.' },
        ...Object.keys(CHANNELS).filter((each) => each !== 'webhook').map((channel) => ({
          name: channel, label: CHANNELS[channel], kind: 'select', also: ['channels'], options: { '': 'the app’s default', on: 'on', off: 'off' },
        })),
        { name: 'critical', label: 'Critical: reaches people whatever they chose', kind: 'check', wide: true, hint: 'For security and safety only.' },
      ],
      send: (values) => api.put(path(this.name || values.name), this.#kind(values)),
      done: (type) => (this.name ? this.#show(type) : Object.assign(location, { hash: `#types/${type.name}` })),
    });
    const add = make('button', '', 'Add a language');
    add.type = 'button';
    add.addEventListener('click', () => this.wordings.append(wording('', {}, true)));
    this.wordings.after(add);
    this.title = make('h2', '', this.name ? spaced(this.name) : 'Add a type');
    room.append(make('p', 'back', Object.assign(make('a', '', 'All types'), { href: '#types' })), this.title,
      make('p', 'quiet', 'Placeholders: ', ...PLACEHOLDERS.flatMap((each) => [make('code', '', `{${each}}`), ' ']),
        'After a | stands what is said when there is none.'),
      this.form.root, this.acts);
    if (this.name) this.#load().catch(tell);
    else this.#show({ kind: EMPTY, changed: false });
  }

  async #load() {
    this.#show(await this.api.get(path(this.name)));
  }

  #show({ kind, built_in: builtIn, changed }) {
    this.kind = kind;
    const channels = Object.fromEntries(Object.keys(CHANNELS).map((each) => [each, { true: 'on', false: 'off' }[kind.channels?.[each]] ?? '']));
    this.form.fill({ name: this.name, fallback: kind.fallback ?? 'en', lifetime_days: kind.lifetime_days, critical: kind.critical, ...channels });
    this.wordings.replaceChildren(...Object.entries(kind.templates).map(([locale, words]) => wording(locale, words, Object.keys(kind.templates).length > 1)));
    if (!this.name) return;
    const label = builtIn ? 'Go back to the built-in type' : 'Remove this type';
    this.acts.replaceChildren(
      ...(changed ? [sure(label, builtIn ? 'Lose your changes?' : 'Events of this type will be refused. Remove it?', () => this.#remove(builtIn))] : []),
      Object.assign(make('a', '', 'Delivery policy'), { href: `#policies/${encodeURIComponent(this.name)}` }),
      Object.assign(make('a', '', 'Send a test event'), { href: '#send' }));
  }

  async #remove(builtIn) {
    try {
      await this.api.delete(path(this.name));
      if (builtIn) await this.#load();
      else location.hash = '#types';
    } catch (refused) {
      this.tell(refused);
    }
  }

  #texts() {
    return Object.fromEntries([...this.wordings.children].map((each) => each.read()).filter(([locale]) => locale));
  }

  // What the form does not know of stays as it is.
  #kind({ name: _, templates, fallback, lifetime_days: days, critical, ...channels }) {
    const chosen = Object.entries(channels).filter(([, value]) => value).map(([channel, value]) => [channel, value === 'on']);
    const before = this.kind.templates;
    const texts = Object.fromEntries(Object.entries(templates).map(([locale, words]) => [locale, { ...before[locale], ...words }]));
    const { lifetime_days: _days, ...kept } = this.kind;
    return { ...kept, templates: texts, fallback: fallback ?? 'en', critical, channels: Object.fromEntries(chosen), ...(days === undefined ? {} : { lifetime_days: days }) };
  }
}

function wording(locale, words, isOne) {
  const [language, title, body, many] = [['Language', locale, 35], ['Title', words.title], ['Text', words.body], ['Title for several', words.many]].map(([label, value, most = 2_000]) => {
    const input = Object.assign(make(label === 'Text' ? 'textarea' : 'input'), { value: value ?? '', maxLength: most });
    if (label === 'Text') input.rows = 2;
    return { input, root: make('label', label === 'Language' ? 'language' : '', make('span', '', label), input) };
  });
  title.input.placeholder = '{actor.name} liked {metadata.title|your post}';
  many.input.placeholder = '{actor.name} and {others} liked {metadata.title|your post}';
  const box = make('fieldset', 'wording', make('legend', '', locale || 'New language'), language.root, title.root, body.root, many.root);
  language.input.addEventListener('input', () => { box.firstElementChild.textContent = language.input.value || 'New language'; });
  if (isOne) {
    const remove = Object.assign(make('button', '', 'Remove this language'), { type: 'button' });
    remove.addEventListener('click', () => box.remove());
    box.append(remove);
  }
  box.read = () => [language.input.value.trim(), { title: title.input.value, body: body.input.value, many: many.input.value }];
  return box;
}
