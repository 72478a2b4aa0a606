// People Ada may know, with the reasons; and whom she follows.

import { make } from '../shared/dom.js';

const $ = (id) => document.getElementById(id);

export class People {
  constructor(api, id, { acted, tell, changed }) {
    this.api = api;
    this.id = id;
    this.acted = acted;
    this.tell = tell;
    this.changed = changed;
  }

  async refresh() {
    const [suggested, followed] = await Promise.all([
      this.api.get('/v1/users/me/suggestions'),
      this.api.get('/v1/users/me/following'),
    ]);
    const names = new Set(followed.data.map(({ person }) => person.id));
    $('suggested').replaceChildren(
      ...suggested.data
        .filter(({ person }) => !names.has(person.id))
        .map(({ person, reason }) => this.#entry(person, reason.says, 'Follow')),
    );
    $('followed').replaceChildren(
      ...followed.data.map(({ person }) => this.#entry(person, '', 'Unfollow')),
    );
  }

  #entry(person, says, act) {
    const entry = make('li', 'line');
    entry.dataset.person = person.external_id;
    const who = make('span', 'title');
    who.append(make('b', '', person.name), make('div', 'quiet', says));
    const button = make('button', '', act);
    button.type = 'button';
    button.setAttribute('aria-label', `${act} ${person.name}`);
    button.addEventListener('click', () => this.#change(person, act).catch(this.tell));
    entry.append(who, button);
    return entry;
  }

  async #change(person, act) {
    this.acted(`nova:follow:${this.id}:${person.id}`, performance.now());
    const method = act === 'Follow' ? 'PUT' : 'DELETE';
    await this.api.call(method, `/v1/users/me/following/${person.id}`);
    await Promise.all([this.refresh(), this.changed()]);
    // Lists know at once; suggestions hear of it from the log, a moment later.
    for (const wait of [100, 300, 1000, 3000]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      await this.refresh();
    }
  }
}
