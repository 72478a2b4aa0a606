// People Ada may know, with the reasons; and whom she follows.

import { make } from '../shared/dom.js';

const $ = (id) => document.getElementById(id);
const LATER_MS = [100, 300, 1_000, 3_000];

export class People {
  constructor(api, id, { press, acted, undone, tell, changed }) {
    this.api = api;
    this.press = press;
    this.id = id;
    this.acted = acted;
    this.undone = undone;
    this.tell = tell;
    this.changed = changed;
  }

  async refresh() {
    const [suggested, followed] = await Promise.all([
      this.api.get('/v1/users/me/suggestions'),
      this.api.get('/v1/users/me/following'),
    ]);
    const known = new Set(followed.data.map(({ person }) => person.id));
    const others = suggested.data.filter(({ person }) => !known.has(person.id));
    const focused = document.activeElement?.closest('[data-person]')?.dataset.person;
    $('suggested').replaceChildren(...others.map(({ person, reason }) => this.#entry(person, reason.says, 'Follow')));
    $('followed').replaceChildren(...followed.data.map(({ person }) => this.#entry(person, '', 'Unfollow')));
    $('nobody-suggested').hidden = others.length > 0;
    $('nobody-followed').hidden = followed.data.length > 0;
    if (focused) document.querySelector(`#view-people [data-person="${CSS.escape(focused)}"] button`)?.focus();
  }

  #entry(person, says, act) {
    const entry = make('li', 'line');
    entry.dataset.person = person.external_id;
    const who = make('span', 'title');
    who.append(make('b', '', person.name), make('div', 'quiet', says));
    const button = make('button', '', act);
    button.type = 'button';
    button.setAttribute('aria-label', `${act} ${person.name}`);
    button.addEventListener('click', async () => {
      try {
        await this.press(button, () => this.#change(person, act));
        await this.#later();
      } catch (error) {
        this.tell(error);
      }
    });
    entry.append(who, button);
    return entry;
  }

  async #change(person, act) {
    const id = `nova:follow:${this.id}:${person.id}`;
    const start = performance.now();
    const isFollow = act === 'Follow';
    await this.api.call(isFollow ? 'PUT' : 'DELETE', `/v1/users/me/following/${person.id}`);
    if (isFollow) this.acted(id, start, `Ada follows ${person.name}.`, { to: person });
    else this.undone(id, `Ada unfollowed ${person.name}.`);
    await Promise.all([this.refresh(), this.changed()]);
  }

  async #later() {
    // Lists know at once; suggestions hear of it from the log, a moment later.
    for (const wait of LATER_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      await this.refresh();
    }
  }
}
