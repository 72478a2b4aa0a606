// From click to bell: what arrives gets the milliseconds since Ada clicked, if it was on this page.

export class Arrivals {
  #clicks = new Map(); // event's id → when Ada clicked, and whether Ben was disconnected
  #underWay = new Set(); // clicks whose event's id is not known yet

  constructor(inbox, latest) {
    this.inbox = inbox;
    this.latest = latest;
  }

  // Make a call that tells Nova something, and names the event by `clicked`.
  async during(call) {
    const calling = call();
    this.#underWay.add(calling);
    try {
      await calling;
    } finally {
      this.#underWay.delete(calling);
    }
  }

  clicked(id, start, isMissed) {
    this.#clicks.set(id, { start, isMissed });
  }

  async heard(notification) {
    const now = performance.now();
    const id = notification.event_id;
    // A notification may be here before the answer to its click is.
    if (!this.#clicks.has(id)) await Promise.allSettled(this.#underWay);
    const click = this.#clicks.get(id);
    const ms = click && `${(now - click.start).toFixed(1)} ms`;
    this.inbox.add(notification, click?.isMissed ? 'recovered' : ms, click?.isMissed);
    if (!click) this.latest.happened(id, `Ben was notified: “${notification.title}”.`);
    this.latest.arrived(id, click?.isMissed ? { isRecovered: true } : { ms });
  }
}
