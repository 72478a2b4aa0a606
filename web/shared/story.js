// The story of a notification: a waterfall of its moments, and where it is in each channel.

import { make } from './dom.js';
import { inOwnZone, took } from './time.js';

const LANES = ['web_push', 'push', 'email', 'webhook'];
const PLACES = { web_push: 'browser', push: 'phone', email: 'mail', webhook: 'webhook' };
const DONE = new Set(['sent', 'delivered', 'dropped', 'merged', 'dead', 'failed', 'gone', 'refused']);
const WORDS = {
  planned: 'on its way', tried: 'being sent', retry: 'to be tried again', unknown: 'to be tried again',
  sent: 'sent', delivered: 'delivered', held: 'held', standby: 'waits', gathered: 'in a digest',
  closed: 'digest closed', dropped: 'not sent', merged: 'sent with others', dead: 'given up',
  failed: 'failed', gone: 'address is dead', refused: 'refused', waiting: 'waits',
};

// `email_recall_tried` is the moment `recall tried` of the lane `email`.
function placed(step) {
  const lane = LANES.find((each) => step.step.startsWith(`${each}_`));
  const name = lane ? step.step.slice(lane.length + 1) : step.step;
  return { ...step, lane: lane ?? 'app', name };
}

// A bar reaches from the moment before in the same lane; a lane begins where the app was then.
function bars(steps) {
  const last = {};
  return steps.map(placed).map((step) => {
    const from = last[step.lane] ?? last.app ?? 0;
    last[step.lane] = step.ms;
    return { ...step, from: Math.min(from, step.ms) };
  });
}

const TICKS = [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];
const tick = (ms) => (ms < 1_000 ? `${ms} ms` : took(ms).replace('.0', ''));

// What takes microseconds and what waits for a night share one logarithmic axis.
function axis(end) {
  const x = (ms) => `${(100 * Math.log1p(Math.max(ms, 0))) / Math.log1p(end)}%`;
  const marks = make('div', 'axis');
  let room = 0;
  for (const ms of TICKS.filter((each) => each < end * 0.8)) {
    const at = Number.parseFloat(x(ms));
    if (at - room < 14) continue;
    room = at;
    const mark = make('span', '', tick(ms));
    mark.style.left = x(ms);
    marks.append(mark);
  }
  marks.setAttribute('aria-hidden', 'true');
  return { x, marks };
}

const sentence = (says) => inOwnZone(says[0].toUpperCase() + says.slice(1));

export function waterfall(story) {
  const rows = bars(story.steps);
  const { x, marks } = axis(Math.max(1, ...rows.map(({ ms }) => ms)));
  const fall = make('ol', 'fall', ...rows.map((row) => {
    const bar = make('i', '');
    bar.style.left = `min(${x(row.from)}, 100% - 3px)`;
    bar.style.right = `calc(100% - ${x(row.ms)})`;
    const track = make('div', 'track', bar);
    track.setAttribute('aria-hidden', 'true');
    const name = make('span', 'name', row.lane === 'app' ? '' : `${PLACES[row.lane]} `, row.name.replaceAll('_', ' '));
    return make(
      'li', row.lane, name, track, make('span', 'ms', took(row.ms)),
      make('span', 'says', sentence(row.says)),
    );
  }));
  fall.setAttribute('aria-label', 'What happened, in milliseconds since the event was accepted');
  return make('div', 'waterfall', marks, fall);
}

// Where it is in each channel outside of the app; `open` while more is to come.
export function whereabouts(story) {
  const found = new Map();
  for (const step of story.steps.map(placed)) {
    if (step.lane === 'app' || step.name.startsWith('recall')) continue;
    found.set(step.lane, { ...step, place: PLACES[step.lane], open: !DONE.has(step.name) });
  }
  return LANES.filter((lane) => found.has(lane)).map((lane) => found.get(lane));
}

// "mail: held until 07:00:00": what a step says in a few words.
function briefly({ place, name, says, ms }) {
  const words = WORDS[name] ?? name;
  const until = inOwnZone(says).match(/(?:until|at) (?:goes out at )?((?:\d+ \w+ |\w+ \d+ )?\d\d:\d\d(?::\d\d)?)\.$/)?.[1];
  if (until && !DONE.has(name)) return `${place}: ${words} until ${until}`;
  return name === 'sent' ? `${place}: sent, ${took(ms)}` : `${place}: ${words}`;
}

export function chips(story) {
  return whereabouts(story).map((each) => {
    const chip = make('span', `chip ${each.name}`, briefly(each));
    chip.title = sentence(each.says);
    return chip;
  });
}
