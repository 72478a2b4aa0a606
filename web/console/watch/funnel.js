// How far notifications came: in the app, and in each channel outside of it.

import { make } from '../../shared/dom.js';
import { columns, inWords } from '../../shared/draw.js';
import { CHANNELS, PHASES, spaced } from '../parts/words.js';

const STEPS = ['planned', 'tried', 'sent'];
const RECEIPTS = ['delivered', 'opened'];
const WITHOUT_RECEIPTS = new Set(['email', 'webhook']);
const STATES = ['waiting', 'held', 'standby', 'merged', 'dropped', 'failed', 'dead'];
const HOURS = { 1: 'the last hour', 24: 'the last day', 168: 'the last week' };

const count = (number) => number.toLocaleString();

function steps(pairs) {
  const whole = Math.max(1, pairs[0][1]);
  return make('ol', 'steps', ...pairs.map(([name, number]) => {
    const bar = make('i');
    bar.style.width = `${(100 * number) / whole}%`;
    const track = make('div', 'track', bar);
    track.setAttribute('aria-hidden', 'true');
    const share = `${Math.round((100 * number) / whole)} %`;
    return make('li', '', make('span', '', name), track, make('b', '', count(number)), make('small', '', share));
  }));
}

// What did not go on, and why; `link` leads to those deliveries.
function asides(pairs, link) {
  return make('div', 'chips', ...pairs.filter(([, number]) => number > 0).map(([name, number]) => {
    const text = `${PHASES[name] ?? spaced(name)}: ${count(number)}`;
    const chip = make(link ? 'a' : 'span', `chip ${name}`, text);
    if (link) chip.href = link(name);
    return chip;
  }));
}

// From acceptance until sent; what was held or gathered waited on purpose, and stands on the right.
function latency(said) {
  if (!said) return [];
  return [
    columns(said.histogram),
    make('p', 'quiet', `From accepted to sent: ${inWords(said)}.`),
  ];
}

export class Funnel {
  static title = 'Funnel';
  static group = 'Activity';
  every_ms = 15_000;

  constructor(room, api) {
    this.api = api;
    this.hours = make('select', '', ...Object.entries(HOURS).map(([value, label]) => new Option(label, value)));
    this.hours.value = '24';
    this.hours.setAttribute('aria-label', 'Stretch of time');
    this.hours.addEventListener('change', () => this.refresh());
    this.parts = make('div', 'funnels');
    room.append(make('h2', '', 'Funnel', this.hours), this.parts,
      make('p', 'quiet', 'Counts at most the newest 100,000 of each. Nobody reports whether mail arrived; for push, your app reports it.'));
  }

  async refresh() {
    const hours = this.hours.value;
    const [app, outside] = await Promise.all([
      this.api.get('/v1/events/funnel', { hours }),
      this.api.get('/v1/deliveries/funnel', { hours }),
    ]);
    this.parts.replaceChildren(this.#inApp(app), ...outside.data.map((each) => this.#channel(each)));
  }

  #inApp(app) {
    return make('article', '', make('h3', '', 'In the app'),
      steps([['decided', app.decided], ['stored', app.stored], ['seen', app.seen], ['read', app.read]]),
      asides([...Object.entries(app.suppressed), ...Object.entries(app.removed)]));
  }

  #channel(each) {
    const names = WITHOUT_RECEIPTS.has(each.channel) ? STEPS : [...STEPS, ...RECEIPTS];
    return make('article', `by-${each.channel}`, make('h3', '', CHANNELS[each.channel] ?? each.channel),
      steps(names.map((step) => [step, each[step]])),
      asides(STATES.map((state) => [state, each[state]]), (state) => `#deliveries/${state}/${each.channel}`),
      asides([['open_digests', each.open_digests]]), ...latency(each.latency));
  }
}
