// The mail catcher: mail as a list with a preview, and push as a phone shows it.

import { make } from '../../shared/dom.js';
import { letter } from '../../shared/mail.js';
import { pushCard } from '../../shared/push.js';
import { ribbon } from '../../shared/ribbon.js';
import { moment } from '../../shared/time.js';
import { Trial } from '../../shared/trial.js';
import { Picker } from '../parts/picker.js';
import { LANES } from '../parts/words.js';

const MOST = 100;
const MOST_PUSHES = 30;

export class Outbox {
  static title = 'Push and mail';
  static group = 'Activity';
  #chosen;
  #key = '';

  constructor(room, api, { tell, asked: [user = ''] }) {
    this.api = api;
    this.tell = tell;
    this.user = new Picker(api, { label: 'User', placeholder: 'Everybody, or one person', onChange: () => this.#anew() });
    this.user.value = user;
    this.hours = make('div');
    this.trials = make('div');
    this.trial = new Trial(this.trials, {
      simulate: (trial) => this.api.post(`${this.#hoursOf(this.user.value)}/simulate`, trial), tell,
    });
    this.subjects = make('ol', 'subjects');
    this.subjects.setAttribute('aria-label', 'Mails, the newest first');
    this.open = make('div', 'open-mail');
    this.noMail = make('p', 'quiet', 'No mail.');
    this.noPush = make('p', 'quiet', 'No push.');
    this.pushes = make('div', 'pushes');
    this.cards = make('div', 'outbox',
      make('section', 'mails', make('h3', '', 'Mail'), this.noMail, make('div', 'mailbox-list', this.subjects, this.open)),
      make('section', '', make('h3', '', 'Push'), this.noPush, this.pushes));
    this.empty = make('p', 'quiet', 'Nothing was kept here. What has a provider is sent, and not kept.');
    const form = make('form', 'row', this.user.root, make('button', '', 'Show'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#anew();
    });
    this.#nobody();
    room.append(make('h2', '', Outbox.title),
      make('p', 'quiet', 'Where no provider is set, the mail catcher keeps what would be sent, as it would be sent. Nothing of it leaves this machine.'),
      form, this.hours, this.trials, this.empty, this.cards);
  }

  #anew() {
    this.#nobody();
    this.refresh().catch(this.tell);
  }

  async refresh() {
    const user = this.user.value;
    const [{ data, images }, quiet] = await Promise.all([
      this.api.get('/v1/outbox', { user, limit: MOST }),
      user ? this.api.get(this.#hoursOf(user)) : undefined,
    ]);
    if (user !== this.user.value) return; // somebody else was asked for meanwhile
    this.trials.hidden = !user;
    this.hours.replaceChildren(...(quiet ? [ribbon(quiet)] : []));
    this.images = images;
    this.cards.hidden = data.length === 0;
    this.empty.hidden = data.length > 0;
    const key = data.map(({ number }) => number).join();
    if (key === this.#key) return;
    this.#key = key;
    this.#showMails(data.filter(({ lane }) => lane === 'mail'));
    const pushes = data.filter(({ lane }) => lane !== 'mail');
    this.noPush.hidden = pushes.length > 0;
    this.pushes.replaceChildren(...pushes.slice(0, MOST_PUSHES).map(strip));
  }

  #showMails(mails) {
    this.noMail.hidden = mails.length > 0;
    const now = mails.find(({ number }) => number === this.#chosen) ?? mails[0];
    this.subjects.replaceChildren(...mails.map((mail) => {
      const button = make('button', '', make('b', '', mail.parcel.title), make('small', '', mail.parcel.target.address), make('time', '', moment(mail.at)));
      button.type = 'button';
      button.dataset.number = mail.number;
      button.addEventListener('click', () => this.#read(mail, true));
      return make('li', '', button);
    }));
    if (now) this.#read(now);
    else this.open.replaceChildren();
  }

  #read(mail, isChosen = false) {
    if (isChosen) this.#chosen = mail.number;
    for (const button of this.subjects.querySelectorAll('button')) {
      button.setAttribute('aria-current', String(button.dataset.number === String(mail.number)));
    }
    if (this.shown === mail.number && this.open.firstChild) return;
    this.shown = mail.number;
    this.open.replaceChildren(letter(mail, this.images), foot(mail));
    if (isChosen && this.open.getBoundingClientRect().top > innerHeight) this.open.scrollIntoView({ block: 'start' });
  }

  // Until it is known who is meant, nothing is shown of anybody.
  #nobody() {
    this.#key = '';
    this.trial.clear();
    this.hours.replaceChildren();
    this.trials.hidden = this.empty.hidden = this.cards.hidden = true;
  }

  #hoursOf(user) {
    return `/v1/users/${encodeURIComponent(user)}/quiet-hours`;
  }
}

function foot(each) {
  const { notification } = each.parcel.data;
  const trace = notification && Object.assign(make('a', '', 'Trace'), { href: `#events/${notification}` });
  return make('footer', 'sent-foot', make('span', '', `${LANES[each.lane] ?? each.lane} · ${moment(each.at)}`), trace);
}

function strip(each) {
  return make('div', 'sent-out phone-strip', pushCard(each), foot(each));
}
