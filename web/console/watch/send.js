// Sends an event as the app's backend would, and shows what becomes of it.

import { make, press } from '../../shared/dom.js';
import { chips, waterfall } from '../../shared/story.js';
import { Form } from '../parts/form.js';
import { Picker } from '../parts/picker.js';
import { facts } from '../parts/table.js';
import { CHANNELS, spaced } from '../parts/words.js';

const CLOSED = new Set(['suppressed', 'dead_lettered', 'removed']);
const PENDING = 'pending';
const DECISIONS = { send: 'is sent', hold: 'is held', digest: 'goes into a digest', standby: 'stands by', drop: 'is not sent' };

export class Send {
  static title = 'Send a test event';
  static group = 'Activity';
  every_ms = 1_500;
  #event;
  #key = '';

  constructor(room, api, { tell, asked: [recipient] }) {
    this.api = api;
    this.tell = tell;
    this.recipient = new Picker(api);
    this.actor = new Picker(api);
    this.recipient.value = recipient;
    this.form = new Form({
      label: 'Test event', submit: 'Send', send: (values) => this.#send(values), done: (sent) => this.#sent(sent),
      codes: { unknown_type: 'event_type', no_such_user: 'recipient_id' },
      more: [press('Try without sending', () => this.#try())],
      fields: [
        { name: 'recipient_id', label: 'Who is told', required: true, control: this.recipient.input, shown: this.recipient.root, read: () => this.recipient.value, write: (value) => { this.recipient.value = value; } },
        { name: 'event_type', label: 'Type', kind: 'select', options: { like: 'like' }, hint: 'What happened: a built-in type, or one of your app.' },
        { name: 'actor_id', label: 'Who did it', control: this.actor.input, shown: this.actor.root, read: () => this.actor.value, write: (value) => { this.actor.value = value; }, hint: 'Nobody is told of what they did themselves.' },
        { name: 'related_entity_id', label: 'What it is about', most: 256, placeholder: 'post-1' },
        { name: 'metadata', label: 'Metadata (JSON)', kind: 'json', wide: true, placeholder: '{"title": "your photo", "url": "https://example.com/photos/1"}', hint: 'What the templates name as {metadata.title} and so on. The member “url” is where the notification leads.' },
      ],
    });
    this.nobody = make('div', 'first-steps', make('p', '', 'There is nobody to tell yet.'),
      press('Create Ada and Ben', () => this.#people().catch(tell), 'primary'));
    this.nobody.hidden = true;
    this.told = make('div');
    this.told.setAttribute('role', 'status');
    this.result = make('div', 'result');
    room.append(make('h2', '', Send.title),
      make('p', 'quiet', 'It goes the same way as events of your backend: the person really gets it.'),
      this.nobody, this.form.root, this.told, this.result);
    this.#types().catch(tell);
  }

  async #types() {
    const [types, people] = await Promise.all([this.api.get('/v1/notification-types'), this.api.get('/v1/users', { limit: 1 })]);
    const select = this.form.fields.get('event_type').input;
    const chosen = select.value;
    select.replaceChildren(...types.map(({ name }) => new Option(spaced(name), name)));
    select.value = chosen;
    this.nobody.hidden = people.data.length > 0;
  }

  async #people() {
    await this.api.post('/v1/users/bulk', { users: [{ external_id: 'ada', name: 'Ada' }, { external_id: 'ben', name: 'Ben' }] });
    this.nobody.hidden = true;
    this.recipient.value = 'ben';
    this.actor.value = 'ada';
  }

  #body(values) {
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  }

  async #send(values) {
    const id = `console-${crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`}`;
    const { results: [result] } = await this.api.post('/v1/events', { id, ...this.#body(values) });
    return { id, result };
  }

  #sent({ id, result }) {
    this.#event = id;
    this.#key = '';
    this.result.replaceChildren();
    this.told.replaceChildren(make('p', 'told', `Accepted as ${id}.`));
    this.#warn(result);
    this.refresh().catch(this.tell);
  }

  // Whom nobody knows is said beside the field that names them.
  #warn({ warnings = [] }) {
    for (const { field, message, hint } of warnings) this.form.fields.get(field)?.says(`${message} ${hint}`);
  }

  async #try() {
    const values = this.form.values();
    this.#event = undefined;
    this.told.replaceChildren();
    try {
      const said = await this.api.post('/v1/notifications/explain', this.#body(values));
      this.result.replaceChildren(make('h3', '', 'What would happen'), ...explained(said));
      this.#warn(said);
    } catch (refused) {
      this.form.refused(refused);
    }
  }

  // What becomes of it is looked at again while more may come.
  async refresh() {
    const event = this.#event;
    if (!event) return;
    const story = await this.api.get(`/v1/events/${encodeURIComponent(event)}/trace`);
    const key = JSON.stringify(story);
    if (key === this.#key || event !== this.#event) return;
    this.#key = key;
    const links = make('div', 'row',
      Object.assign(make('a', '', 'The person'), { href: `#people/${encodeURIComponent(story.recipient ?? '')}` }),
      Object.assign(make('a', '', 'Their push and mail'), { href: `#outbox/${encodeURIComponent(story.recipient ?? '')}` }));
    this.result.replaceChildren(
      make('h3', '', 'What became of it', make('span', `chip ${story.outcome}`, story.outcome === PENDING ? 'under way' : spaced(story.outcome))),
      make('p', 'says', story.says), make('div', 'chips', ...chips(story)), waterfall(story),
      story.recipient && !CLOSED.has(story.outcome) ? links : '',
      facts({ Event: story.event_id, Notification: story.notification }));
  }
}

function explained(said) {
  const ways = (said.channels ?? []).map((way) => make('li', '',
    make('b', '', CHANNELS[way.channel] ?? way.channel), ' ', make('span', 'chip', DECISIONS[way.decision] ?? way.decision), make('p', 'quiet', way.says)));
  return [
    make('p', '', make('span', `chip ${said.outcome}`, said.outcome), ' ', said.says),
    said.title ? make('p', 'preview', make('b', '', said.title), said.body ? make('span', '', said.body) : '') : '',
    make('ul', 'plain-list', ...ways),
  ];
}
