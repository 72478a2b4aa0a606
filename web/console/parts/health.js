// What is wrong right now, in words and with the view that has more: the overview lists it, and the
// menu marks it.

import { took } from '../../shared/time.js';
import { LANES, counted } from './words.js';

export const LATE_S = 5;
const STUCK_S = 60;
const CLOCK_S = 60;
const ENGINES_EVERY = 3; // turns
const LINKS = { true: 'set forward', false: 'set back' };

function ofEngines(engines) {
  return engines.filter(({ healthy }) => !healthy).map(({ name, says, needed }) => ({
    view: 'engines', isGrave: needed, says: `${ENGINES[name] ?? name} does not work: ${says}`,
  }));
}

const MOST_LETTERS = 100;

function ofLog(consumers, dead) {
  const late = consumers.filter(({ lag_s: lag }) => lag > LATE_S);
  return [
    ...late.map((each) => ({ view: 'log', isGrave: true, says: `The consumer “${each.consumer}” is ${took(each.lag_s * 1_000)} behind.` })),
    ...(dead ? [{ view: 'log', isGrave: true, says: `${dead === MOST_LETTERS ? `${dead} or more events` : counted(dead, 'event')} could not be handled (dead letters). Read the error, mend its cause, then replay.` }] : []),
  ];
}

export function ofLane(lane) {
  const name = LANES[lane.lane] ?? lane.lane;
  const isHook = lane.lane === 'hook';
  const found = [];
  const say = (says, view = 'deliveries') => found.push({ view, isGrave: true, says: `${name}: ${says}` });
  if (lane.dead) say(`${counted(lane.dead, 'delivery', 'deliveries')} failed for good.`, `deliveries/dead/${lane.channel}`);
  if (lane.breaker !== 'closed' && isHook) say('one fails again and again, so it is not called for a while (its circuit breaker is open).', 'webhooks');
  else if (lane.breaker !== 'closed') say('the provider fails, so nothing is sent for a while (the circuit breaker is open).');
  if (lane.paused_until) say(`paused: ${lane.why}`);
  if (lane.purging === false) say(`dead addresses are kept: ${lane.purging_why}`);
  if ((lane.oldest_s ?? 0) > STUCK_S && !lane.paused_until && lane.breaker === 'closed') say(`stuck: the first in line has waited for ${took(lane.oldest_s * 1_000)}.`);
  return found;
}

function ofSockets({ sockets_refused: refused }) {
  return refused.filter(({ lately }) => lately > 0).map(({ setting, lately }) => ({
    view: 'overview', isGrave: true,
    says: `${counted(lately, 'socket was', 'sockets were')} refused in the last five minutes by the setting ${setting}. Raise it, unless it is one client that connects too often.`,
  }));
}

function ofClocks({ at, clock_jumped_s: jumped }, askedAt) {
  const apart = (new Date(at) - askedAt) / 1_000;
  return [
    ...(jumped ? [{ view: 'overview', isGrave: true, says: `The server’s clock was ${LINKS[jumped > 0]} by ${took(Math.abs(jumped) * 1_000)}. Have it set by NTP.` }] : []),
    ...(Math.abs(apart) > CLOCK_S ? [{ view: 'overview', isGrave: false, says: `This browser’s clock is ${took(Math.abs(apart) * 1_000)} ${apart > 0 ? 'behind' : 'ahead of'} the server’s: times here are wrong by as much.` }] : []),
  ];
}

export const ENGINES = {
  database: 'Database', jwks: 'Public keys', graph: 'Graph index', clock: 'Clock',
  ios: 'Push to iOS', android: 'Push to Android', web: 'Web Push', mail: 'Mail',
};

export function problems({ seen, consumers, engines, lanes, letters, askedAt }) {
  return [
    ...ofEngines(engines), ...ofLog(consumers, letters), ...lanes.flatMap(ofLane), ...ofSockets(seen), ...ofClocks(seen, askedAt),
  ];
}

// Asks for everything at once; whoever looks at it shares one answer.
export class Health {
  every_ms = 10_000;

  constructor(api) {
    this.api = api;
    this.found = null;
    this.turns = 0;
    this.heard = new Set();
  }

  async refresh() {
    const askedAt = Date.now();
    const asks = !this.found || this.turns % ENGINES_EVERY === 0; // each asks the providers themselves
    this.turns += 1;
    const [seen, consumers, lanes, letters, engines] = await Promise.all([
      ...['/v1/overview', '/v1/consumers', '/v1/delivery-lanes'].map((path) => this.api.get(path)),
      this.api.get('/v1/dead-letters', { limit: MOST_LETTERS }),
      asks ? this.api.get('/v1/engines') : { data: this.found?.engines ?? [] },
    ]);
    const all = {
      seen, consumers: consumers.data, engines: engines.data, lanes: lanes.data,
      letters: letters.data.length, askedAt: (askedAt + Date.now()) / 2,
    };
    this.found = { ...all, problems: problems(all) };
    for (const hear of this.heard) hear(this.found);
    return this.found;
  }

  // How many problems a view has more about.
  count(view) {
    return this.found?.problems.filter((each) => each.view.split('/')[0] === view).length ?? 0;
  }
}
