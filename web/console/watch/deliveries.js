// Deliveries: the lanes, the log with every attempt, and dead letters to try again.

import { make, opening, press } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { ofLane } from '../parts/health.js';
import { Picker } from '../parts/picker.js';
import { CHANNELS as NAMES, LANES, PHASES as PHASES_SAID, counted, number } from '../parts/words.js';

const PHASES = ['', 'dead', 'failed', 'waiting', 'held', 'standby', 'done', 'dropped', 'merged'];
const CHANNELS = ['', 'push', 'web_push', 'email', 'webhook'];
const STORIES = new Set(['single', 'recall']); // of one notification, not of a digest or a webhook's call
const REDRIVABLE = new Set(['dead', 'failed']);

function choice(label, values, chosen, words) {
  const select = make('select', '', ...values.map((each) => new Option(words[each] ?? (each || `any ${label}`), each)));
  select.value = values.includes(chosen) ? chosen : '';
  select.setAttribute('aria-label', label);
  return select;
}

export class Deliveries {
  static title = 'Deliveries';
  static group = 'Activity';
  every_ms = 5_000;
  #key = '';
  #cursor;

  constructor(room, api, { tell, asked: [phase, channel, user, id] }) {
    this.api = api;
    this.tell = tell;
    this.phase = choice('phase', PHASES, phase, PHASES_SAID);
    this.channel = choice('channel', CHANNELS, channel, NAMES);
    this.user = new Picker(api, { label: 'User', placeholder: 'Anybody, or one person', onChange: () => this.refresh().catch(tell) });
    this.user.value = user;
    this.again = press('Try all of these again', () => this.#redriveAll().catch(tell));
    this.lanes = make('div', 'lanes');
    this.found = make('div', 'found');
    if (id) this.#detail(id).then((said) => this.found.replaceChildren(...said)).catch(tell);
    this.list = make('ol', 'lines');
    this.list.setAttribute('aria-label', 'Deliveries, the newest first');
    this.empty = make('p', 'quiet', 'There are none.');
    this.older = press('Older', () => this.#more().catch(tell));
    this.older.hidden = this.empty.hidden = this.again.hidden = true; // until it is known
    const form = make('form', 'row', this.phase, this.channel, this.user.root, make('button', '', 'Show'));
    form.addEventListener('submit', (submitted) => submitted.preventDefault());
    for (const heard of ['change', 'submit']) form.addEventListener(heard, () => this.refresh().catch(tell));
    room.append(make('h2', '', 'Deliveries'), this.lanes, this.found, form, this.again, this.empty, this.list, this.older);
  }

  #which() {
    return { phase: this.phase.value, channel: this.channel.value, user: this.user.value };
  }

  async refresh() {
    const [lanes, page] = await Promise.all([
      this.api.get('/v1/delivery-lanes'),
      this.api.get('/v1/deliveries', { ...this.#which(), limit: 50 }),
    ]);
    this.lanes.replaceChildren(...lanes.data.map((lane) => this.#lane(lane)));
    this.again.hidden = this.phase.value !== 'dead' || page.data.length === 0;
    this.empty.hidden = page.data.length > 0;
    // What is open stays open: the list is made anew only when something in it has changed.
    const key = JSON.stringify([this.#which(), page.data]);
    if (key === this.#key) return;
    this.#key = key;
    const open = new Set([...this.list.querySelectorAll('details[open]')].map(({ dataset }) => dataset.delivery));
    this.list.replaceChildren(...page.data.map((each) => this.#line(each, open.has(each.id))));
    this.#continues(page);
  }

  async #more() {
    const page = await this.api.get('/v1/deliveries', { ...this.#which(), limit: 50, cursor: this.#cursor });
    this.list.append(...page.data.map((each) => this.#line(each)));
    this.#continues(page);
  }

  #continues(page) {
    this.#cursor = page.next_cursor;
    this.older.hidden = !this.#cursor;
  }

  #lane(lane) {
    const facts = [
      [lane.waiting, 'waiting'], [lane.held, 'held'], [lane.dead, 'given up'],
      [lane.sent, 'sent in the last hour'], [lane.failed, 'failed in the last hour'],
    ].filter(([count]) => count > 0).map(([count, name]) => `${number(count)} ${name}`);
    if (lane.gone) facts.push(counted(lane.gone, 'dead address', 'dead addresses'));
    const wrong = ofLane(lane);
    const carrier = lane.carrier === 'outbox' ? 'mail catcher' : lane.carrier;
    const box = make('article', wrong.length ? 'sick' : '',
      make('b', '', LANES[lane.lane] ?? lane.lane), make('small', '', carrier),
      make('p', '', facts.join(', ') || 'nothing to do'));
    box.append(...wrong.map(({ says }) => make('p', 'bad', says.slice(says.indexOf(': ') + 2))));
    if (lane.paused_until) box.append(make('p', '', `Paused until ${moment(lane.paused_until)}.`));
    if (lane.paused_until || lane.purging === false) box.append(this.#resume(lane.lane, 'bury'), ' ', this.#resume(lane.lane, 'forgive'));
    return box;
  }

  #resume(lane, suspects) {
    const label = suspects === 'bury' ? 'Resume, remove dead addresses' : 'Resume, keep all addresses';
    return press(label, () => this.#act(`/v1/delivery-lanes/${lane}/resume`, { suspects }));
  }

  #line(each, isOpen = false) {
    const line = opening(
      [
        make('time', '', moment(each.made_at)),
        make('span', `chip ${each.phase}`, each.phase === 'done' ? each.status : PHASES_SAID[each.phase] ?? each.phase),
        make('span', 'what', make('b', '', each.title || each.type), ' ', make('small', '', NAMES[each.channel] ?? each.channel, each.kind === 'single' ? '' : `, ${each.kind}`)),
        make('span', 'who', each.text || each.reason?.replaceAll('_', ' ') || `…${each.address.slice(-8)}`),
      ],
      () => this.#detail(each.id),
      this.tell,
    );
    line.dataset.delivery = each.id;
    line.open = isOpen;
    return make('li', '', line);
  }

  async #detail(id) {
    const { delivery, attempts } = await this.api.get(`/v1/deliveries/${id}`);
    const facts = {
      Delivery: delivery.id, Notification: delivery.notification, User: delivery.user, To: delivery.address,
      Lane: LANES[delivery.lane] ?? delivery.lane, 'Collapse id': delivery.collapse_id, Reason: delivery.reason, Rule: delivery.rule,
      Next: delivery.next_at && moment(delivery.next_at), 'Merged into': delivery.merged_into,
    };
    const ids = make('dl', 'ids', ...Object.entries(facts).filter(([, value]) => value)
      .flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
    const acts = make('div', 'row');
    if (STORIES.has(delivery.kind)) {
      const story = make('a', '', 'Trace');
      story.href = `#events/${delivery.notification}`;
      acts.append(story);
    }
    if (REDRIVABLE.has(delivery.phase)) {
      acts.append(press('Try again', () => this.#act(`/v1/deliveries/${id}/redrive`)));
    }
    return [attempts.length ? table(attempts) : make('p', 'quiet', 'It was not tried.'), ids, acts];
  }

  async #redriveAll() {
    const { channel, user } = this.#which();
    await this.#act('/v1/deliveries/redrive', { ...(channel && { channel }), ...(user && { user }) });
  }

  async #act(path, body) {
    try {
      await this.api.post(path, body);
      await this.refresh();
    } catch (refused) {
      this.tell(refused);
    }
  }
}

function table(attempts) {
  const rows = attempts.map((each) => make('tr', '',
    make('td', '', `${each.number}${each.resend ? ' (resend)' : ''}`), make('td', '', moment(each.started_at)),
    make('td', '', each.verdict ?? 'under way'), make('td', '', [each.code, each.text].filter(Boolean).join(': ')),
    make('td', '', each.next_at ? moment(each.next_at) : '')));
  const head = make('tr', '', ...['Attempt', 'At', 'Verdict', 'Said', 'Next'].map((each) => make('th', '', each)));
  const box = make('div', 'scroll', make('table', '', make('thead', '', head), make('tbody', '', ...rows)));
  box.tabIndex = 0;
  return box;
}
