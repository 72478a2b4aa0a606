// Quiet hours tried out: what would be held at some time, and until when. Nothing is changed.

import { make } from './dom.js';
import { ribbon } from './ribbon.js';

const CHANNELS = { push: 'A push', web_push: 'A Web Push', email: 'A mail' };
const EVENING = 'T23:30';

const two = (number) => String(number).padStart(2, '0');
const tonight = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}${EVENING}`;

// By the clock on the person's own wall, whatever this browser's zone is.
function wall(at, timeZone) {
  return new Intl.DateTimeFormat('en-GB', { weekday: 'short', hour: '2-digit', minute: '2-digit', timeZone })
    .format(new Date(at)).replace(',', '');
}

function says(channel, at, said) {
  const there = `${CHANNELS[channel]} at ${wall(at, said.timezone)} (${said.timezone})`;
  if (!said.quiet) return `${there} goes out at once.`;
  if (!said.release_at) return `${there} is held, and these quiet hours never end.`;
  return `${there} is held until ${wall(said.release_at, said.timezone)}.`;
}

// `simulate` asks Nova about a trial; a refusal is told.
export class Trial {
  constructor(root, { simulate, tell }) {
    this.simulate = simulate;
    this.tell = tell;
    this.at = make('input');
    this.at.type = 'datetime-local';
    this.at.required = true;
    this.at.value = tonight(new Date());
    this.at.setAttribute('aria-label', 'Time, by your own clock');
    this.channel = make('select', '', ...Object.keys(CHANNELS).map((each) => new Option(CHANNELS[each], each)));
    this.channel.setAttribute('aria-label', 'What is sent');
    this.answer = make('div', 'answer');
    this.answer.setAttribute('role', 'status');
    const form = make('form', 'row', this.channel, this.at, make('button', '', 'Check'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#try().catch(tell);
    });
    this.root = make('details', 'trial', make('summary', '', 'Check another time'), form, this.answer);
    root.append(this.root);
  }

  // Whom it was about is no longer whom it is about.
  clear() {
    this.latest = undefined;
    this.answer.replaceChildren();
  }

  async #try() {
    const [channel, at] = [this.channel.value, new Date(this.at.value).toISOString()];
    const trial = (this.latest = { channel, at });
    const said = await this.simulate(trial);
    if (trial !== this.latest) return; // another was asked for meanwhile
    this.answer.replaceChildren(make('p', 'told', says(channel, at, said)), ribbon(said, at));
  }
}
