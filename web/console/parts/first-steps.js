// What to do first with an empty server: shown until there is a person, and an event.

import { make, press } from '../../shared/dom.js';
import { command } from './copy.js';

const curl = (origin, path, body) => [
  'key=$(cat nova-data/server.key)',
  `curl -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \\\n  ${origin}${path} \\\n  -d '${JSON.stringify(body)}'`,
].join('\n');

const link = (href, text) => Object.assign(make('a', '', text), { href });

function step(title, isDone, ...more) {
  const item = make('li', isDone ? 'done' : '', make('h4', '', title, isDone && make('span', 'chip sent', 'done')));
  if (!isDone) item.append(...more);
  return item;
}

export class FirstSteps {
  #key = '';
  #isOver = false;

  constructor(api, tell) {
    this.api = api;
    this.tell = tell;
    this.steps = make('ol');
    this.root = make('section', 'first-steps', make('h3', '', 'First steps'), this.steps);
    this.root.setAttribute('aria-label', 'First steps');
    this.root.hidden = true; // until it is known
  }

  async refresh() {
    if (this.#isOver) return;
    const [people, events] = await Promise.all([
      this.api.get('/v1/users', { limit: 1 }), this.api.get('/v1/events', { limit: 1 }),
    ]);
    const has = { person: people.data.length > 0, event: events.data.length > 0 };
    this.#isOver = has.person && has.event;
    this.root.hidden = this.#isOver;
    const key = JSON.stringify(has);
    if (key === this.#key || this.#isOver) return;
    this.#key = key;
    this.steps.replaceChildren(...this.#all(has));
  }

  #all(has) {
    const people = { users: [{ external_id: 'ada', name: 'Ada' }, { external_id: 'ben', name: 'Ben' }] };
    const event = { id: 'like-1', event_type: 'like', recipient_id: 'ben', actor_id: 'ada', related_entity_id: 'post-1' };
    const make2 = press('Create Ada and Ben', () => this.api.post('/v1/users/bulk', people).then(() => this.refresh()).catch(this.tell), 'primary');
    return [
      step('Create two people', has.person,
        make('p', '', 'Nova needs to know the people of your app. Your backend sends them; for a first try, create two here, or with this:'),
        command(curl(location.origin, '/v1/users/bulk', people), 'Create two people with curl'),
        make('div', 'row', make2, link('#people/+', 'Create somebody else'))),
      step('Send an event', has.event,
        make('p', '', 'An event says what happened in your app, and whom to tell. Nova makes a notification of it. Send one from this page, and see what became of it:'),
        make('p', '', Object.assign(make('a', 'button primary', 'Send a test event'), { href: '#send' })),
        command(curl(location.origin, '/v1/events', event), 'Send an event with curl')),
      step('Connect your app', false,
        make('p', '', 'Show the bell in your app, and set who sends push and mail. Until then the mail catcher keeps them, and nothing leaves this machine. ',
          link('/docs/tutorials/first-notification', 'First notification'), ' · ', link('/docs/how-to/push-and-mail', 'Push and mail'), ' · ', link('/docs/api', 'API'))),
    ];
  }
}
