// Ben away from the app: his phone, his mailbox, and his quiet hours.

import { Api } from '../shared/api.js';
import { Mailbox } from '../shared/mail.js';
import { Phone } from '../shared/push.js';
import { ribbon } from '../shared/ribbon.js';
import { Trial } from '../shared/trial.js';

const $ = (id) => document.getElementById(id);
const EVERY_MS = 1_000;
const QUIET_H = 8;
const WEEK = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

// Quiet from this hour on, on every day, by the clock on Ben's wall.
function fromNow(timeZone) {
  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', hourCycle: 'h23', timeZone });
  const now = Number(clock.format(new Date()));
  const wall = (hour) => `${String(hour % 24).padStart(2, '0')}:00`;
  const window = { start: wall(now), end: wall(now + QUIET_H) };
  return { days: Object.fromEntries(WEEK.map((day) => [day, [window]])) };
}

export class Outside {
  // `looked` hears the error of a look at phone and mailbox, or nothing when it went well.
  constructor(ben, { follow, looked, came, did, tell }) {
    this.ben = ben;
    this.follow = follow;
    this.looked = looked;
    this.came = came;
    this.did = did;
    this.phone = new Phone($('phone'), 'Ben');
    this.mailbox = new Mailbox($('mailbox'), 'Ben');
    this.trial = new Trial($('trial'), {
      simulate: (trial) => ben.post('/v1/quiet-hours/simulate', trial), tell,
    });
    $('quiet').addEventListener('change', ({ target }) => {
      this.#set(target.checked).catch(tell);
    });
  }

  async start() {
    this.phone.show([]);
    await this.#move();
    await this.refresh();
    await this.#turn();
  }

  async refresh() {
    this.#ribbon(await this.ben.get('/v1/quiet-hours'));
  }

  // Something rang: look now, and not only at the next turn.
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#turn(), 150);
  }

  // Ben lives where the browser is; one whose zone Nova does not know stays in UTC.
  async #move() {
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    await this.ben.patch('/v1/users/me', { timezone: timeZone }).catch(() => undefined);
  }

  async #set(quiet) {
    if (quiet) this.did('quiet');
    if (quiet) this.#ribbon(await this.ben.put('/v1/quiet-hours', fromNow(this.zone)));
    else {
      await this.ben.delete('/v1/quiet-hours');
      this.#ribbon(await this.ben.get('/v1/quiet-hours'));
    }
    this.soon();
  }

  #ribbon(said) {
    this.quiet = said.quiet;
    this.zone = said.timezone;
    $('quiet').checked = said.quiet;
    this.trial.clear();
    $('ribbon').replaceChildren(ribbon(said));
  }

  async #turn() {
    clearTimeout(this.timer);
    try {
      if (!document.hidden) await this.#look();
      this.looked();
    } catch (error) {
      this.looked(error);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#turn(), EVERY_MS);
  }

  async #look() {
    const { data } = await new Api().get('/demo/outbox');
    const isMail = ({ lane }) => lane === 'mail';
    const [pushes, mails] = [data.filter((each) => !isMail(each)), data.filter(isMail)];
    this.phone.show(pushes, { quiet: this.quiet });
    this.mailbox.show(mails);
    for (const [place, all] of [['phone', pushes], ['mail', mails]]) {
      this.came(place, Math.max(0, ...all.map(({ number }) => number)));
    }
    await this.follow();
  }
}
