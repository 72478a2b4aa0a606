// Quiet hours as a ribbon: the next 24 hours, from now on or from a time that is tried out.

import { make } from './dom.js';

const HOUR = 3_600_000;
const wall = (text) => text.slice(11, 16);

function said({ quiet, ribbon }) {
  const [first, next] = ribbon;
  if (quiet) return `Quiet until ${wall(first.wall_end)}: push and mail are held.`;
  if (next) return `Quiet from ${wall(next.wall_start)} until ${wall(next.wall_end)}.`;
  return 'No quiet hours in the next 24 hours.';
}

export function ribbon(hours, from) {
  const start = new Date(hours.ribbon[0].start);
  const whole = new Date(hours.ribbon.at(-1).end) - start;
  const strip = make('div', 'strip', ...hours.ribbon.map((piece) => {
    const part = make('span', piece.quiet ? 'quiet-part' : '');
    part.style.flexGrow = (new Date(piece.end) - new Date(piece.start)) / whole;
    part.title = `${wall(piece.wall_start)} to ${wall(piece.wall_end)}: ${piece.quiet ? 'quiet' : 'open'}`;
    return part;
  }));
  const local = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: hours.timezone });
  const ticks = make('div', 'ticks', ...[0, 6, 12, 18, 24].map(
    (each) => make('span', '', each || from ? local.format(new Date(start.getTime() + each * HOUR)) : 'now'),
  ));
  ticks.setAttribute('aria-hidden', 'true');
  const figure = make('figure', 'ribbon', strip, ticks,
    !from && make('figcaption', '', said(hours), make('small', '', hours.timezone)));
  strip.setAttribute('role', 'img');
  strip.setAttribute('aria-label', from ? 'The 24 hours from then on' : said(hours));
  return figure;
}
