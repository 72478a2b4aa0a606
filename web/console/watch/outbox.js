// The outbox: push and mail as they were rendered, and the quiet hours of whom they are for.

import { make, press } from '../shared/dom.js';
import { letter } from '../shared/mail.js';
import { pushCard } from '../shared/push.js';
import { ribbon } from '../shared/ribbon.js';
import { moment } from '../shared/time.js';
import { Trial } from '../shared/trial.js';

export class Outbox {
  static title = 'Outbox';
  #cards = new Map();

  constructor(room, api, { tell, asked: [user = ''] }) {
    this.api = api;
    this.user = make('input');
    this.user.value = user;
    this.user.placeholder = 'Everybody, or the id of a user';
    this.user.setAttribute('aria-label', 'User');
    this.hours = make('div');
    this.trials = make('div');
    this.trial = new Trial(this.trials, {
      simulate: (trial) => this.api.post(`${this.#hoursOf(this.user.value.trim())}/simulate`, trial), tell,
    });
    this.pushes = make('div', 'pushes');
    this.mails = make('div', 'mails');
    this.cards = make('div', 'outbox',
      make('section', '', make('h3', '', 'Push'), this.pushes), make('section', '', make('h3', '', 'Mail'), this.mails));
    this.empty = make('p', 'quiet', 'Nothing came here. A channel with a provider does not use the outbox.');
    const form = make('form', 'row', this.user, make('button', '', 'Show'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#nobody();
      this.refresh().catch(tell);
    });
    this.#nobody();
    room.append(make('h2', '', 'Outbox'), form, this.hours, this.trials, this.empty, this.cards);
  }

  async refresh() {
    const user = this.user.value.trim();
    const [{ data }, quiet] = await Promise.all([
      this.api.get('/v1/outbox', { user, limit: 40 }),
      user ? this.api.get(this.#hoursOf(user)) : undefined,
    ]);
    if (user !== this.user.value.trim()) return; // somebody else was asked for meanwhile
    this.trials.hidden = !user;
    this.hours.replaceChildren(...(quiet ? [ribbon(quiet)] : []));
    this.cards.hidden = data.length === 0;
    this.empty.hidden = data.length > 0;
    const before = [...this.#cards.keys()].join();
    this.#cards = new Map(data.map((each) => [each.number, this.#cards.get(each.number) ?? card(each)]));
    if ([...this.#cards.keys()].join() === before) return;
    const of = (isMail) => data.filter(({ lane }) => (lane === 'mail') === isMail).map(({ number }) => this.#cards.get(number));
    this.pushes.replaceChildren(...of(false));
    this.mails.replaceChildren(...of(true));
  }

  // Until it is known who is meant, nothing is shown of anybody.
  #nobody() {
    this.trial.clear();
    this.hours.replaceChildren();
    this.trials.hidden = this.empty.hidden = this.cards.hidden = true;
  }

  #hoursOf(user) {
    return `/v1/users/${encodeURIComponent(user)}/quiet-hours`;
  }
}

function card(each) {
  const isMail = each.lane === 'mail';
  const { notification } = each.parcel.data;
  const story = notification && make('a', '', 'Its story');
  if (story) story.href = `#events/${notification}`;
  const foot = make('footer', '', make('span', '', `${each.lane} · ${moment(each.at)}`), story);
  return make('div', `sent-out ${isMail ? 'mail' : 'phone-strip'}`, isMail ? letter(each) : pushCard(each), foot);
}
