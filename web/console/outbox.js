// The outbox: push and mail as they were rendered, and the quiet hours of whom they are for.

import { make, press } from '../shared/dom.js';
import { letter } from '../shared/mail.js';
import { pushCard } from '../shared/push.js';
import { ribbon } from '../shared/ribbon.js';
import { moment } from '../shared/time.js';

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
    this.cards = make('div', 'outbox');
    this.empty = make('p', 'quiet', 'Nothing came here. A channel with a provider does not use the outbox.');
    const form = make('form', 'row', this.user, make('button', '', 'Show'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.refresh().catch(tell);
    });
    room.append(make('h2', '', 'Outbox'), form, this.hours, this.empty, this.cards);
  }

  async refresh() {
    const user = this.user.value.trim();
    const { data } = await this.api.get('/v1/outbox', { user, limit: 40 });
    await this.#quiet(user);
    this.empty.hidden = data.length > 0;
    const before = [...this.#cards.keys()].join();
    this.#cards = new Map(data.map((each) => [each.number, this.#cards.get(each.number) ?? this.#card(each)]));
    if ([...this.#cards.keys()].join() !== before) this.cards.replaceChildren(...this.#cards.values());
  }

  async #quiet(user) {
    if (!user) return this.hours.replaceChildren();
    const said = await this.api.get(`/v1/users/${encodeURIComponent(user)}/quiet-hours`);
    return this.hours.replaceChildren(ribbon(said));
  }

  #card(each) {
    const shown = each.lane === 'mail' ? letter(each) : pushCard(each);
    const delivery = make('a', '', 'Story');
    delivery.href = `#events/${each.parcel.data.notification ?? ''}`;
    const foot = make('footer', '', make('span', '', `${each.lane} · ${moment(each.at)}`),
      each.parcel.data.notification ? delivery : '');
    return make('div', `sent-out ${each.lane === 'mail' ? 'mail' : 'phone-strip'}`, shown, foot);
  }
}
