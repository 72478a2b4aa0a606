// Erasing a person: asked for by their id, and followed until nothing is left.

import { make } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { Form } from '../parts/form.js';
import { called } from '../parts/words.js';

const LOOK_MS = 2_000;

export class Erasing {
  constructor(api, view, tell) {
    const form = new Form({
      label: 'Erase this person', submit: 'Erase for good',
      fields: [{ name: 'name', label: 'To erase this person for good, type their name or id', required: true }],
      send: async ({ name }, fields) => {
        const { person } = view;
        if (![person.id, person.external_id, called(person)].includes(name)) {
          fields.get('name').says(`Type “${called(person)}” to confirm.`);
          return false;
        }
        await api.delete(`/v1/users/${person.id}`);
        return true;
      },
      done: (isErased) => isErased && view.gone().catch(tell),
    });
    form.button.className = 'danger';
    this.root = make('details', '', make('summary', '', 'Erase this person'),
      make('p', 'hint', 'Everything that Nova holds about the person goes, in every engine: posts, likes, comments, notifications, devices. This cannot be undone.'), form.root);
  }
}

// How far an erasure is; null if there was none.
export async function erasureOf(api, id) {
  const said = await api.get(`/v1/erasures/${encodeURIComponent(id)}`).catch((refused) => {
    if (refused.status === 404) return null;
    throw refused;
  });
  return said && new Progress(api, id, said);
}

class Progress {
  constructor(api, id, said) {
    this.api = api;
    this.id = id;
    this.steps = make('ol', 'progress');
    this.root = make('div', '', this.steps);
    this.root.setAttribute('role', 'status');
    this.#show(said);
  }

  watch(tell) {
    if (this.said.complete_at) return;
    setTimeout(async () => {
      if (!this.root.isConnected) return;
      try {
        this.#show(await this.api.get(`/v1/erasures/${encodeURIComponent(this.id)}`));
      } catch (refused) {
        tell(refused);
      }
      this.watch(tell);
    }, LOOK_MS);
  }

  #show(said) {
    this.said = said;
    const key = JSON.stringify(said);
    if (key === this.key) return;
    this.key = key;
    const step = (text, at) => make('li', at ? 'done' : 'open', make('b', '', text), make('span', '', at ? moment(at) : 'under way'));
    this.steps.replaceChildren(
      step('Asked for', said.requested_at),
      step('The person and all that is theirs is gone', said.erased_at),
      step('What others’ data, logs and histories held of them is gone, too', said.complete_at));
  }
}
