// What happens right now, and what needs attention, at a glance.

import { make } from '../../shared/dom.js';
import { percentileAxis, spark, spread } from '../../shared/draw.js';
import { took } from '../../shared/time.js';
import { FirstSteps } from '../parts/first-steps.js';
import { ENGINES, LATE_S } from '../parts/health.js';

const STEPS = 30; // of ten seconds: what the server remembers
const RATES = { events: 'Events', requests: 'Requests', deliveries: 'Delivery attempts' };
const WHAT = { published: 'event → sockets', answered: 'requests' };

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
  const value = worst.lag_s > 0 ? took(worst.lag_s * 1_000) : 'none';
  return tile('Lag', value, '', make('p', 'quiet', worst.lag_s > 0 ? worst.consumer : 'every consumer is up to date'), worst.lag_s > LATE_S);
}

function sockets({ sockets: open, sockets_refused: refused, started_at: since }) {
  const lately = refused.reduce((sum, each) => sum + each.lately, 0);
  const total = refused.reduce((sum, each) => sum + each.total, 0);
  const up = `up since ${new Date(since).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}`;
  const says = total ? `${number(total)} refused since the start, ${lately ? number(lately) : 'none'} in the last five minutes` : up;
  return tile('Sockets', number(open), 'open', make('p', 'quiet', says), lately > 0);
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

function problem({ view, says }) {
  const link = make('a', '', 'Show');
  link.href = `#${view}`;
  link.setAttribute('aria-label', `Show: ${says}`);
  return make('li', '', make('span', '', says), view === 'overview' ? '' : link);
}

// Those that say the same stand together: what the mail catcher takes, for the most part.
function together(engines) {
  const found = new Map();
  for (const each of engines) {
    const key = JSON.stringify([each.healthy, each.says]);
    found.set(key, [...(found.get(key) ?? []), each]);
  }
  return [...found.values()];
}

function engine(some) {
  const [{ healthy, says }] = some;
  const item = make('li', healthy ? 'up' : 'down', make('b', '', some.map(({ name }) => ENGINES[name] ?? name).join(', ')),
    make('span', '', says));
  if (!healthy) item.append(make('span', 'unseen', '(does not work)'));
  return item;
}

export class Overview {
  static title = 'Overview';
  every_ms = 2_000;

  constructor(room, api, { health, tell }) {
    this.api = api;
    this.health = health;
    this.since = make('small');
    this.state = make('div', 'state');
    this.state.setAttribute('role', 'status');
    this.first = new FirstSteps(api, tell);
    this.tiles = make('div', 'tiles');
    this.engines = make('ul', 'engine-line');
    this.engines.setAttribute('aria-label', 'Engines');
    this.timings = make('tbody');
    this.times = table('Percentiles', 'timings', ['Feature', percentileAxis(), 'p50', 'p95', 'p99', 'Count'], this.timings);
    this.none = make('p', 'quiet', 'Nothing happened in the last five minutes, so there is nothing to time.');
    this.times.hidden = this.none.hidden = true; // until it is known
    this.consumers = make('tbody');
    room.append(make('h2', '', 'Overview', this.since), this.state, this.first.root, this.tiles, this.engines,
      make('h2', '', 'How long it takes'), this.times, this.none,
      make('p', 'quiet', 'A bar goes from p50 to p99, with a mark at p95. The axis is logarithmic. “event → sockets” is the time of the oldest event of each batch.'),
      make('h2', '', 'Consumers of the log'), table('Consumers', 'consumers', ['Consumer', 'Last five minutes', 'Now', 'Lag'], this.consumers));
    this.hear = (found) => this.#says(found);
    health.heard.add(this.hear);
    if (health.found) this.hear(health.found);
  }

  close() {
    this.health.heard.delete(this.hear);
  }

  #says({ problems, engines }) {
    const key = JSON.stringify([problems, engines]);
    if (key === this.said) return; // a screen reader hears what is new, once
    this.said = key;
    this.state.className = problems.length ? 'state bad-state' : 'state good-state';
    this.state.replaceChildren(...(problems.length
      ? [make('h3', '', problems.length === 1 ? 'One thing needs attention' : `${problems.length} things need attention`), make('ul', '', ...problems.map(problem))]
      : [make('p', '', 'Everything works.')]));
    this.engines.replaceChildren(...together(engines).map(engine));
  }

  async refresh() {
    const [seen, log] = await Promise.all([
      this.api.get('/v1/overview'), this.api.get('/v1/consumers'), this.first.refresh(),
    ]);
    this.since.textContent = `this process, its last ${took(seen.window_s * 1_000).replace('.0', '')}`;
    this.tiles.replaceChildren(...seen.rates.map(rate), sockets(seen), lagOf(log.data));
    this.times.hidden = seen.timings.length === 0;
    this.none.hidden = seen.timings.length > 0;
    this.timings.replaceChildren(...seen.timings.map(timing));
    const found = new Map(log.data.map((each) => [each.consumer, each]));
    this.consumers.replaceChildren(...seen.consumers.map((each) => consumer(each, found.get(each.name))));
  }
}
