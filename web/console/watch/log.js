// The log: its consumers with their lag, and what they gave up on.

import { make, opening, press } from '../../shared/dom.js';
import { moment, took } from '../../shared/time.js';
import { LATE_S } from '../parts/health.js';
import { counted, number } from '../parts/words.js';

const COLUMNS = ['Consumer', 'Lag', 'Events', 'Batches', 'Last batch', 'Failed attempts', 'Given up'];

export class Log {
  static title = 'Log';
  static group = 'System';
  #key = '';

  constructor(room, api, { tell }) {
    this.api = api;
    this.tell = tell;
    this.rows = make('tbody');
    const head = make('tr', '', ...COLUMNS.map((each) => make('th', '', each)));
    const scroll = make('div', 'scroll', make('table', '', make('thead', '', head), this.rows));
    scroll.tabIndex = 0;
    this.letters = make('ol', 'lines');
    this.letters.setAttribute('aria-label', 'Dead letters');
    this.empty = make('p', 'quiet', 'No dead letters.');
    this.empty.hidden = true; // until it is known
    room.append(make('h2', '', 'Consumers'), scroll,
      make('p', 'quiet', 'Counted in this process, since it started.'),
      make('h2', '', 'Dead letters'), this.empty, this.letters);
  }

  async refresh() {
    const [consumers, letters] = await Promise.all([
      this.api.get('/v1/consumers'),
      this.api.get('/v1/dead-letters', { limit: 100 }),
    ]);
    this.rows.replaceChildren(...consumers.data.map((each) => row(each)));
    this.empty.hidden = letters.data.length > 0;
    const key = letters.data.map(({ number }) => number).join();
    if (key === this.#key) return;
    this.#key = key;
    this.letters.replaceChildren(...letters.data.map((each) => this.#letter(each)));
  }

  #letter(each) {
    const error = make('pre', '', each.error);
    error.tabIndex = 0;
    const replay = press('Replay', () => this.#replay(each.number));
    return make('li', '', opening(
      [
        make('time', '', moment(each.died)),
        make('span', 'chip dead', each.consumer),
        make('span', 'what', make('b', '', each.type), ' ', make('small', '', `${each.topic}, ${counted(each.attempts, 'attempt')}`)),
        make('span', 'who', each.error.split('\n')[0].slice(0, 120)),
      ],
      async () => [error, make('div', 'row', replay)],
      this.tell,
    ));
  }

  async #replay(number) {
    try {
      await this.api.post(`/v1/dead-letters/${number}/replay`);
      await this.refresh();
    } catch (refused) {
      this.tell(refused);
    }
  }
}

function row(each) {
  const lag = make('td', each.lag_s > LATE_S ? 'bad' : '', each.lag_s > 0 ? took(each.lag_s * 1_000) : 'none');
  return make('tr', '', make('th', '', each.consumer), lag,
    ...[each.events, each.batches].map((number) => make('td', '', number.toLocaleString())),
    make('td', '', each.last_batch_at ? `${number(each.last_batch_size)} at ${moment(each.last_batch_at)}` : ''),
    make('td', '', number(each.failures)), make('td', '', number(each.dead_letters)));
}
