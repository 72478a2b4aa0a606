// What just happened, where it arrived, and why: at the top of the page, after every action.

import { make } from '../shared/dom.js';
import { chips, waterfall } from '../shared/story.js';

const $ = (id) => document.getElementById(id);
const FIRST_MS = 60;
const MOST_MS = 1_000;
const REMOVED = 'removed';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function inOneSentence({ says, to, again, ms, isMissed, isRecovered }, story) {
  if (story?.outcome === 'suppressed') return `${says} ${to} is not notified. ${story.says}`;
  if (story?.outcome === 'dead_lettered') return `${says} ${story.says}`;
  if (story?.outcome === REMOVED && again) return `${says} ${again}`;
  if (isRecovered) return `${says} Ben got it when he connected again.`;
  if (isMissed) return `${says} Ben is disconnected: he gets it when he connects again.`;
  return ms ? `${says} Ben saw it after ${ms}.` : says;
}

function bellChip({ ms, isShown, isMissed, isRecovered }, story) {
  if (story && story.outcome !== 'stored' && story.outcome !== 'pending') return [];
  if (isRecovered) return [make('span', 'chip done', 'bell: recovered')];
  if (isMissed) return [make('span', 'chip waiting', 'bell: waits for Ben')];
  return ms || isShown ? [make('span', 'chip done', `bell: ${ms ?? 'shown'}`)] : [];
}

export class Latest {
  #now = null;
  #story = null;

  // `trace` returns the story of an event's id.
  constructor({ trace, opened }) {
    this.trace = trace;
    $('story').addEventListener('toggle', () => {
      if (!$('story').open) return;
      opened();
      this.#draw();
    });
  }

  // `again` is what to say when the notification was removed before, and does not come back.
  happened(id, says, { to = 'Ben', again, isMissed } = {}) {
    this.#now = { id, says, to, again, isMissed };
    this.#story = null;
    $('latest').classList.remove('nothing');
    this.#show();
    this.#watch(this.#now);
  }

  arrived(id, { ms, isRecovered }) {
    if (this.#now?.id !== id) return;
    Object.assign(this.#now, { ms, isRecovered, isShown: true });
    this.#show();
  }

  // Milestones outside of the app come seconds or hours later; so does what is taken back.
  async #watch(now) {
    for (let wait = FIRST_MS; this.#now === now; wait = Math.min(wait * 1.5, MOST_MS)) {
      await pause(wait);
      if (document.hidden) continue;
      const story = await this.trace(now.id).catch(() => null); // Nova is away
      if (this.#now !== now) return;
      if (story?.steps.length && JSON.stringify(story) !== JSON.stringify(this.#story)) {
        this.#story = story;
        this.#show();
      }
    }
  }

  #show() {
    const said = inOneSentence(this.#now, this.#story);
    if ($('happened').textContent !== said) $('happened').textContent = said;
    const all = [...bellChip(this.#now, this.#story), ...(this.#story ? chips(this.#story) : [])];
    $('reached').replaceChildren(...all.map((chip) => make('li', '', chip)));
    $('story').hidden = !this.#story;
    this.#draw();
  }

  #draw() {
    if (!$('story').open || !this.#story) return;
    const inside = $('story').querySelector('.inside');
    inside.replaceChildren(make('p', 'quiet', this.#story.says), waterfall(this.#story));
  }
}
