// What happens right now: rates, percentiles and lag, at a glance.

import { make } from '../shared/dom.js';
import { percentileAxis, spark, spread } from '../shared/draw.js';
import { took } from '../shared/time.js';

const STEPS = 30; // of ten seconds: what the server remembers
const RATES = { events: 'Events', requests: 'Requests', deliveries: 'Deliveries' };
const WHAT = { published: 'event → sockets', answered: 'requests' };
const LATE_S = 5;

const number = (value) => value.toLocaleString([], { maximumFractionDigits: value < 10 ? 1 : 0 });

function tile(name, value, unit, below, isBad = false) {
  return make('article', isBad ? 'sick' : '', make('h3', '', name),
    make('p', 'big', value, make('small', '', unit)), below);
}

function rate({ name, per_s: now, lately }) {
  const line = spark(lately, STEPS, `at most ${number(Math.max(0, ...lately))} a second in the last five minutes`);
  return tile(RATES[name], number(now), 'a second', line);
}

function lagOf(consumers) {
  const worst = consumers.reduce((one, other) => (other.lag_s > one.lag_s ? other : one), { lag_s: 0 });
  const dead = consumers.reduce((sum, each) => sum + each.dead_letters, 0);
  const says = [worst.lag_s > 0 && worst.consumer, dead > 0 && `${number(dead)} dead letters`].filter(Boolean);
  const value = worst.lag_s > 0 ? took(worst.lag_s * 1_000) : 'none';
  return tile('Lag', value, '', make('p', 'quiet', says.join(', ') || 'every consumer is up to date'), worst.lag_s > LATE_S || dead > 0);
}

function timing(each) {
  const cells = [each.p50_ms, each.p95_ms, each.p99_ms].map((ms) => make('td', 'number', took(ms)));
  return make('tr', '',
    make('th', '', each.feature, ' ', make('small', '', WHAT[each.what])),
    make('td', 'drawn', spread(each)), ...cells, make('td', 'number', each.count.toLocaleString()));
}

function consumer(each, found) {
  const late = found && found.lag_s > LATE_S;
  return make('tr', '', make('th', '', each.name),
    make('td', 'drawn', spark(each.lately, STEPS, `at most ${number(Math.max(0, ...each.lately))} a second`)),
    make('td', 'number', `${number(each.per_s)} /s`),
    make('td', late ? 'number bad' : 'number', found?.lag_s > 0 ? took(found.lag_s * 1_000) : 'none'));
}

function table(label, className, heads, rows) {
  const head = make('tr', '', ...heads.map((each) => make('th', '', each)));
  const whole = make('table', `drawings ${className}`, make('thead', '', head), rows);
  whole.setAttribute('aria-label', label);
  const box = make('div', 'scroll', whole);
  box.tabIndex = 0;
  return box;
}

export class Overview {
  static title = 'Overview';
  every_ms = 2_000;

  constructor(room, api) {
    this.api = api;
    this.since = make('small');
    this.tiles = make('div', 'tiles');
    this.timings = make('tbody');
    this.times = table('Percentiles', 'timings', ['Feature', percentileAxis(), 'p50', 'p95', 'p99', 'Of'], this.timings);
    this.none = make('p', 'quiet', 'Nothing happened lately, so there is nothing to time.');
    this.times.hidden = this.none.hidden = true; // until it is known
    this.consumers = make('tbody');
    room.append(make('h2', '', 'Overview', this.since), this.tiles,
      make('h2', '', 'How long it takes'), this.times, this.none,
      make('p', 'quiet', 'A bar reaches from p50 to p99, with a mark at p95; its axis is logarithmic. “event → sockets” is of each batch’s oldest event.'),
      make('h2', '', 'Consumers of the log'), table('Consumers', 'consumers', ['Consumer', 'Lately', 'Now', 'Lag'], this.consumers));
  }

  async refresh() {
    const [seen, log] = await Promise.all([this.api.get('/v1/overview'), this.api.get('/v1/consumers')]);
    const sockets = tile('Sockets', number(seen.sockets), 'open', make('p', 'quiet', `up since ${new Date(seen.started_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}`));
    this.since.textContent = `the process that answers, its last ${took(seen.window_s * 1_000).replace('.0', '')}`;
    this.tiles.replaceChildren(...seen.rates.map(rate), sockets, lagOf(log.data));
    this.times.hidden = seen.timings.length === 0;
    this.none.hidden = seen.timings.length > 0;
    this.timings.replaceChildren(...seen.timings.map(timing));
    const found = new Map(log.data.map((each) => [each.consumer, each]));
    this.consumers.replaceChildren(...seen.consumers.map((each) => consumer(each, found.get(each.name))));
  }
}
