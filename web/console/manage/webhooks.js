// Webhooks: who is told of deliveries, with each one's last calls.

import { make, press } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { checks } from '../parts/checks.js';
import { sure } from '../parts/confirm.js';
import { secretOnce } from '../parts/copy.js';
import { Form } from '../parts/form.js';
import { Table } from '../parts/table.js';

const EVENTS = {
  'delivery.sent': 'sent', 'delivery.delivered': 'delivered', 'delivery.opened': 'opened',
  'delivery.failed': 'failed', 'delivery.dead': 'given up', 'delivery.dropped': 'dropped',
};
const LAST = 10;
const PHASES = { waiting: 'waiting', done: 'answered', dead: 'given up', failed: 'failed', dropped: 'dropped' };

function fields() {
  const events = checks('Events', EVENTS);
  return [
    { name: 'url', label: 'Address', kind: 'url', required: true, wide: true, placeholder: 'https://example.com/nova', hint: 'https, and reachable from the server.' },
    { name: 'events', wide: true, control: events.root, read: () => events.value, write: (value) => { events.value = value ?? []; }, hint: 'All of them when none is chosen.' },
  ];
}

const CODES = { forbidden_url: 'url', bad_url: 'url' };

export class Webhooks {
  static title = 'Webhooks';
  static group = 'Set up';
  every_ms = 5_000;
  #key = '';

  constructor(room, api, { tell }) {
    this.api = api;
    this.tell = tell;
    this.made = make('div', 'made');
    this.made.setAttribute('role', 'status');
    const form = new Form({
      label: 'New webhook', submit: 'Add', codes: CODES, fields: fields(),
      send: ({ url, events }) => api.post('/v1/webhooks', { url, events }),
      done: (created) => this.#created(created, form, add),
    });
    const add = make('details', 'adding', make('summary', '', 'Add a webhook'), form.root);
    this.list = make('div', 'hooks');
    this.empty = make('p', 'quiet', 'There is none. A webhook tells your backend what became of push and mail.');
    this.empty.hidden = true;
    room.append(make('h2', '', 'Webhooks'), add, this.made, this.empty, this.list,
      make('p', 'quiet', 'Calls are signed as Standard Webhooks says, and repeated for three days until they are answered with 2xx. An answer of 410 disables the webhook.'));
  }

  #created({ webhook, secret }, form, add) {
    form.clear();
    add.open = false;
    this.made.replaceChildren(...secretOnce(['The secret of ', make('b', '', webhook.url), ' is shown this once. Your backend verifies signatures with it:'],
      secret, () => this.made.replaceChildren()));
    this.refresh().catch(this.tell);
  }

  async refresh() {
    const { data } = await this.api.get('/v1/webhooks');
    this.empty.hidden = data.length > 0;
    const key = JSON.stringify(data);
    if (key !== this.#key) { // what is open or half typed stays as it is
      this.#key = key;
      this.cards = data.map((each) => new Card(each, this.api, this));
      this.list.replaceChildren(...this.cards.map(({ root }) => root));
    }
    await Promise.all((this.cards ?? []).map((card) => card.refresh()));
  }
}

class Card {
  constructor(webhook, api, view) {
    this.api = api;
    this.webhook = webhook;
    this.view = view;
    this.path = `/v1/webhooks/${webhook.id}`;
    this.calls = new Table(`Last calls of ${webhook.url}`, ['Call', 'At', 'State', 'Answer', 'Attempts'], 'wrapped');
    this.none = make('p', 'quiet', 'It was not called yet.');
    this.none.hidden = this.calls.root.hidden = true;
    this.form = new Form({
      label: 'Change this webhook', submit: 'Save', codes: CODES, fields: fields(),
      send: ({ url, events }) => api.patch(this.path, { url, events }), done: () => this.#again(),
    });
    this.form.fill(webhook);
    const acts = make('div', 'row',
      press('Send a test', () => this.#act(() => api.post(`${this.path}/test`))),
      webhook.disabled_at ? press('Enable again', () => this.#act(() => api.post(`${this.path}/enable`)), 'primary') : '',
      sure('Remove', 'Remove it, and drop its waiting calls?', () => this.#act(() => api.delete(this.path))));
    this.root = make('article', webhook.disabled_at ? 'hook sick' : 'hook', make('h3', '', webhook.url, webhook.disabled_at ? make('span', 'chip dead', 'disabled') : ''),
      webhook.disabled_at ? make('p', 'bad', `Disabled since ${moment(webhook.disabled_at)}. ${webhook.disabled_why}`) : '',
      make('p', 'quiet', `${webhook.events.length ? webhook.events.join(', ') : 'All events'} · since ${moment(webhook.made_at)}`),
      acts, make('details', '', make('summary', '', 'Change address or events'), this.form.root),
      make('h4', '', 'Last calls'), this.none, this.calls.root);
  }

  async #act(call) {
    try {
      await call();
      await this.#again();
    } catch (refused) {
      this.view.tell(refused);
    }
  }

  #again() {
    return this.view.refresh();
  }

  async refresh() {
    const { data } = await this.api.get('/v1/deliveries', { webhook: this.webhook.id, limit: LAST });
    this.none.hidden = data.length > 0;
    this.calls.root.hidden = data.length === 0;
    this.calls.show(data, (each) => {
      const link = Object.assign(make('a', '', each.type), { href: `#deliveries////${each.id}` });
      return [link, moment(each.made_at), make('span', `chip ${each.phase}`, PHASES[each.phase] ?? each.phase),
        [each.code, each.text].filter(Boolean).join(': ') || '–', String(each.attempts ?? 0)];
    });
  }
}
