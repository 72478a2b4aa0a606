// Small drawings of numbers. Each says in words what it shows, for who does not see it.

import { make } from './dom.js';
import { took } from './time.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDE = 100;
const HIGH = 24;

function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function seen(node, says) {
  node.setAttribute('role', 'img');
  node.setAttribute('aria-label', says);
  return node;
}

// A line of what was lately, the oldest on the left; `whole` steps fill the width.
export function spark(values, whole, says) {
  const drawing = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: 'none' });
  const most = Math.max(...values, 1);
  const step = WIDE / (whole - 1);
  const first = WIDE - step * (values.length - 1);
  const points = values.map((value, number) => `${first + number * step},${HIGH - 1 - (HIGH - 2) * (value / most)}`);
  if (values.length > 1) {
    drawing.append(
      svg('polygon', { points: [`${first},${HIGH}`, ...points, `${WIDE},${HIGH}`].join(' ') }),
      svg('polyline', { points: points.join(' '), 'vector-effect': 'non-scaling-stroke' }),
    );
  }
  return seen(drawing, says);
}

// Percentiles on one logarithmic axis: a bar from p50 to p99, with a mark at p95.
const LEAST_MS = 0.5;
const MOST_MS = 20_000;
const TICKS_MS = [1, 10, 100, 1_000, 10_000];

const WITHIN = '\u00a0% within'; // the sign stays with its number

const onAxis = (ms) => (100 * Math.log(Math.min(Math.max(ms, LEAST_MS), MOST_MS) / LEAST_MS)) / Math.log(MOST_MS / LEAST_MS);
const at = (node, ms) => {
  node.style.left = `${onAxis(ms)}%`;
  return node;
};

export function percentileAxis() {
  const marks = make('div', 'spread axis', ...TICKS_MS.map((ms) => at(make('span', '', took(ms).replace('.0', '')), ms)));
  marks.setAttribute('aria-hidden', 'true');
  return marks;
}

export function spread({ p50_ms: half, p95_ms: most, p99_ms: all }) {
  const bar = at(make('i'), half);
  bar.style.right = `${100 - onAxis(all)}%`;
  const box = make('div', 'spread', ...TICKS_MS.map((ms) => at(make('s'), ms)), bar, at(make('b'), most));
  return seen(box, inWords({ p50_ms: half, p95_ms: most, p99_ms: all }));
}

export function inWords({ p50_ms: half, p95_ms: most, p99_ms: all }) {
  return `half within ${took(half)}, 95${WITHIN} ${took(most)}, 99${WITHIN} ${took(all)}`;
}

// A histogram: how many took less than each bound, and at least the one before.
export function columns(histogram) {
  const most = Math.max(...histogram.map(({ count }) => count), 1);
  const name = (seconds) => took(seconds * 1_000).replace(/\.0(?= )/, '');
  const bars = histogram.map(({ under_s: under, count }, number) => {
    const before = histogram[number - 1]?.under_s;
    const range = under === null ? `${name(before)} or more` : before ? `${name(before)} to ${name(under)}` : `under ${name(under)}`;
    const bar = make('i');
    bar.style.height = count ? `max(3px, ${(100 * count) / most}%)` : '0';
    const isNamed = under !== null && number % 2 === 0; // there is no room for all
    const column = make('div', 'column', bar, make('small', '', isNamed && name(under)));
    column.title = `${range}: ${count.toLocaleString()}`;
    return { column, range, count };
  });
  const says = bars.filter(({ count }) => count).map(({ range, count }) => `${range}: ${count}`).join(', ');
  return seen(make('div', 'columns', ...bars.map(({ column }) => column)), says);
}
