// What one sees at the first visit, and what to try next; what was tried stays tried.

import { make } from '../shared/dom.js';

const $ = (id) => document.getElementById(id);
const KEPT = 'nova-demo-guide';
const STEPS = {
  like: 'Click Like below Ben’s photo. See how fast Ben’s bell, phone and mail get it.',
  why: 'Open “Why, and how fast?” at the top: each step of the notification with its time.',
  quiet: 'Turn on “Quiet hours now” above Ben’s phone, then click Comment. The bell shows it at once; push and mail wait.',
  drop: 'Click “Disconnect Ben”, then Like, then “Connect Ben again”: the notification he missed arrives.',
  follow: 'Click “Follow Ben”, then open the tab Feed: Ben’s posts are in it now.',
  call: 'Open “Show the API call” below the buttons: your backend sends the same.',
};

function link(href, text) {
  const made = make('a', '', text);
  made.href = href;
  return made;
}

export class Guide {
  #done = new Set();
  #isHidden = false;

  constructor() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT)) ?? {};
      this.#done = new Set(kept.done);
      this.#isHidden = kept.isHidden === true;
    } catch { /* a browser that keeps nothing, or what is no JSON: the guide starts anew */ }
    $('help').addEventListener('click', () => {
      this.#isHidden = !this.#isHidden;
      this.#changed();
    });
    this.#show();
  }

  did(step) {
    if (this.#done.has(step)) return;
    this.#done.add(step);
    this.#changed();
  }

  #changed() {
    try {
      localStorage.setItem(KEPT, JSON.stringify({ done: [...this.#done], isHidden: this.#isHidden }));
    } catch { /* it is shown again next time */ }
    this.#show();
  }

  #show() {
    const names = Object.keys(STEPS);
    const next = names.find((each) => !this.#done.has(each));
    $('guide').hidden = this.#isHidden;
    $('guide').classList.toggle('begun', this.#done.size > 0);
    $('help').setAttribute('aria-expanded', String(!this.#isHidden));
    $('next').replaceChildren(...(next
      ? [make('b', '', `Try next (${names.indexOf(next) + 1} of ${names.length}): `), STEPS[next]]
      : ['You have seen it all. Next: ', link('/console', 'the console'), ' for operators, or ',
        link('/docs/tutorials/first-notification', 'your first notification'), ' from your own backend.']));
  }
}
