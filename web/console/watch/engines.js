// Every engine, asked just now.

import { make } from '../shared/dom.js';

const NAMES = {
  database: 'Database', jwks: 'Public keys', graph: 'Graph index',
  ios: 'Push to iOS', android: 'Push to Android', web: 'Web Push', mail: 'Mail',
};

export class Engines {
  static title = 'Engines';
  every_ms = 10_000;

  constructor(room, api) {
    this.api = api;
    this.list = make('ol', 'engines');
    this.list.setAttribute('aria-label', 'Engines');
    room.append(make('h2', '', 'Engines'), this.list);
  }

  async refresh() {
    const { data } = await this.api.get('/v1/engines');
    this.list.replaceChildren(...data.map((each) => make('li', each.healthy ? 'up' : 'down',
      make('b', '', NAMES[each.name] ?? each.name), make('span', 'chip', each.healthy ? 'up' : 'down'),
      each.needed ? '' : make('small', '', 'can be spared'), make('p', '', each.says))));
  }
}
