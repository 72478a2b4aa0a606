// Every engine, asked just now.

import { make } from '../../shared/dom.js';
import { ENGINES } from '../parts/health.js';

export class Engines {
  static title = 'Engines';
  static group = 'System';
  every_ms = 10_000;

  constructor(room, api) {
    this.api = api;
    this.list = make('ol', 'engines');
    this.list.setAttribute('aria-label', 'Engines');
    room.append(make('h2', '', 'Engines'), this.list,
      make('p', 'quiet', 'Without an optional engine Nova goes on, and does less. “nova doctor” says how to mend what is down.'));
  }

  async refresh() {
    const { data } = await this.api.get('/v1/engines');
    this.list.replaceChildren(...data.map((each) => make('li', each.healthy ? 'up' : 'down',
      make('b', '', ENGINES[each.name] ?? each.name), make('span', 'chip', each.healthy ? 'up' : 'down'),
      make('small', '', each.needed ? 'required' : 'optional'), make('p', '', each.says))));
  }
}
