// Mail as its reader sees it: inside a frame that has no scripts, no origin, and nothing to load.

import { make } from './dom.js';
import { moment } from './time.js';

// The page's policy names this one place where text becomes markup, and it is inside the frame.
const policy = window.trustedTypes?.createPolicy('mail', { createHTML: (html) => html });
// The sheet for readers who like it dark is not for this page, whose policy allows none in a page.
const SHEET = /<style>[^<]*<\/style>/;

// A mail's HTML in a frame; `images` has what it names as `cid:…`.
export function page(title, given, images = {}) {
  let html = given.replace(SHEET, '');
  for (const [cid, data] of Object.entries(images)) html = html.replaceAll(cid, data);
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', '');
  frame.referrerPolicy = 'no-referrer';
  frame.title = `Mail: ${title}`;
  frame.srcdoc = policy ? policy.createHTML(html) : html;
  return frame;
}

const field = (name, value) => [make('dt', '', name), make('dd', '', value)];

export function letter({ parcel, at }, images = {}) {
  const head = make('dl', '',
    ...field('To', parcel.target.address),
    ...field('Sent', moment(at)),
    ...(parcel.unsubscribe_url ? field('One click unsubscribes', parcel.unsubscribe_url) : []));
  const plain = make('details', 'plain', make('summary', '', 'As plain text'), make('pre', '', parcel.body));
  plain.lastElementChild.tabIndex = 0;
  return make('article', 'letter', make('h3', '', parcel.title), head,
    parcel.html ? page(parcel.title, parcel.html, images) : '', plain);
}

// A mailbox: subjects, and the letter that was chosen, or else the newest.
export class Mailbox {
  #shown = null;
  #chosen = null;

  constructor(root, owner) {
    this.subjects = make('ol', 'subjects');
    this.subjects.setAttribute('aria-label', `${owner}’s mail`);
    this.empty = make('p', 'quiet', 'No mail yet.');
    this.open = make('div', 'open');
    root.append(this.empty, this.subjects, this.open);
    root.classList.add('mailbox');
  }

  show(mails) {
    this.mails = mails.toSorted((one, other) => other.number - one.number).slice(0, 5);
    this.empty.hidden = this.mails.length > 0;
    const now = this.mails.find(({ number }) => number === this.#chosen) ?? this.mails[0];
    const numbers = this.mails.map(({ number }) => number).join();
    if (numbers !== this.numbers) this.#list(now);
    this.numbers = numbers;
    if (now && now.number !== this.#shown) this.#read(now);
  }

  #list(now) {
    this.subjects.replaceChildren(...this.mails.map((mail) => {
      const button = make('button', '', make('b', '', mail.parcel.title), make('time', '', moment(mail.at)));
      button.type = 'button';
      button.dataset.number = mail.number;
      button.addEventListener('click', () => {
        this.#chosen = mail.number;
        this.#read(mail);
      });
      return make('li', '', button);
    }));
    this.#mark(now);
  }

  #read(mail) {
    this.#shown = mail.number;
    this.open.replaceChildren(letter(mail));
    this.#mark(mail);
  }

  #mark(mail) {
    for (const button of this.subjects.querySelectorAll('button')) {
      button.setAttribute('aria-current', String(button.dataset.number === String(mail?.number)));
    }
  }
}
