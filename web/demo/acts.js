// Ada's buttons: likes and comments go through her app's backend, follows straight to Nova.

import { Api, inWords } from '../shared/api.js';

const $ = (id) => document.getElementById(id);
const SAYS = { like: 'Ada liked Ben’s photo.', comment: 'Ada commented on Ben’s photo.' };
const UNDONE = {
  like: 'Ada took her like back, and Nova removed the notification.',
  comment: 'Ada deleted her comment, and Nova removed the notification.',
};
const ONCE = 'Ben was told of this follow before, and Nova tells of the same follow only once.';

export class Acts {
  #last = null; // what can be undone: { act, event }
  #follows = false;

  // `acted` hears the event's id, when the button was clicked, and what to say of it.
  constructor(ada, people, { press, acted, undone, called, did, changed }) {
    this.press = press;
    this.ada = ada;
    this.people = people;
    this.acted = acted;
    this.undone = undone;
    this.called = called;
    this.did = did;
    this.changed = changed;
    for (const button of document.querySelectorAll('[data-act]')) {
      button.addEventListener('click', () => this.#press(button, () => this.#act(button.dataset.act)));
    }
    $('follow').addEventListener('click', () => this.#press($('follow'), () => this.#follow()));
    $('undo').addEventListener('click', () => this.#press($('undo'), () => this.#undo()));
  }

  // Whether Ada follows Ben, as Nova has it: after a reload, and when another tab changed it.
  async refresh() {
    const { follows } = await this.ada.get(`/v1/users/me/relation/${this.people.ben.id}`);
    this.#follows = follows;
    $('follow').disabled = false;
    $('follow').textContent = follows ? 'Unfollow Ben' : 'Follow Ben';
    $('follow').classList.toggle('on', follows);
    $('followed-ben').textContent = follows ? 'Followed by Ada' : 'Not followed';
  }

  async #press(button, call) {
    await this.press(button, async () => {
      $('problem').replaceChildren();
      try {
        await call();
      } catch (error) {
        $('problem').textContent = inWords(error);
      }
    });
  }

  async #act(act) {
    const start = performance.now();
    const { event } = await new Api().post('/demo/acts', { act });
    this.#undoable({ act, event: event.id });
    this.called({ method: 'POST', path: '/v1/events', body: event });
    this.acted(event.id, start, SAYS[act]);
    this.did(act);
  }

  async #undo() {
    const { act, event } = this.#last;
    await new Api().delete(`/demo/events/${encodeURIComponent(event)}`);
    this.#undoable(null);
    this.called({ method: 'DELETE', path: `/v1/events/${encodeURIComponent(event)}` });
    this.undone(event, UNDONE[act]);
  }

  #undoable(last) {
    if (!last && document.activeElement === $('undo')) $('acts').querySelector('button').focus();
    this.#last = last;
    $('undo').disabled = !last;
    $('undo').setAttribute('aria-label', last ? `Undo the ${last.act}` : 'Undo');
  }

  async #follow() {
    const { ada, ben } = this.people;
    const id = `nova:follow:${ada.id}:${ben.id}`;
    const start = performance.now();
    const isFollow = !this.#follows;
    const method = isFollow ? 'PUT' : 'DELETE';
    await this.ada.call(method, `/v1/users/me/following/${ben.id}`);
    this.called({ method, path: '/v1/users/ada/following/ben' });
    if (isFollow) this.acted(id, start, 'Ada follows Ben.', { again: ONCE });
    else this.undone(id, 'Ada unfollowed Ben, and Nova removed the notification.');
    if (isFollow) this.did('follow');
    await Promise.all([this.refresh(), this.changed()]);
  }
}
