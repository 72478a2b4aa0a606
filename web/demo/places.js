// The bar of a narrow window: one part of the page at a time, and a mark where something is new.

const NARROW = window.matchMedia('(max-width: 47.99rem)');

export class Places {
  #shown = 'ada';
  #latest = new Map(); // place → the number of what came last
  #seen = new Map();

  constructor(bar, panes) {
    this.bar = bar;
    this.panes = panes;
    bar.addEventListener('click', ({ target }) => {
      const button = target.closest('[data-to]');
      if (button) this.show(button.dataset.to);
    });
    NARROW.addEventListener('change', () => this.#mark());
  }

  show(place) {
    this.#shown = place;
    document.body.dataset.shown = this.panes.dataset.shown = place;
    for (const button of this.bar.children) {
      if (button.dataset.to === place) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    window.scrollTo(0, 0);
    this.#mark();
  }

  // Something came: whatever has a higher number than what was looked at is new.
  came(place, number) {
    if (!this.#seen.has(place)) this.#seen.set(place, number); // it was there at the start
    this.#latest.set(place, number);
    this.#mark();
  }

  count(place, number) {
    this.#news(place, number > 0, String(number));
  }

  #mark() {
    for (const [place, number] of this.#latest) {
      if (!NARROW.matches || this.#shown === place) this.#seen.set(place, number);
      this.#news(place, number > this.#seen.get(place), 'new');
    }
  }

  #news(place, isNew, text) {
    const badge = this.bar.querySelector(`[data-to="${place}"] .news`);
    badge.hidden = !isNew;
    badge.textContent = text;
  }
}
