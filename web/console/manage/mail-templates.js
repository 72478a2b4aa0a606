// Mail templates: the words of each type's mails in each language, what all mails have in common,
// and a mail as its reader would see it, while somebody writes.

import { make, press } from '../../shared/dom.js';
import { page } from '../../shared/mail.js';
import { sure } from '../parts/confirm.js';

const WORDS = {
  subject: ['Subject', '{title}'], preheader: ['Beside the subject', '{body}'], heading: ['Heading', '{title}'],
  body: ['Text, a paragraph a line', '{body}'], button: ['Button', ''],
};
const COLORS = { accent: 'Button', on_accent: 'Words on it', background: 'Around', surface: 'Behind the text', text: 'Text', muted: 'Footer' };
const LANGUAGES = ['en', 'de', 'fr', 'es', 'ar', 'he', 'ja', 'zh-Hant'];
const WAIT_MS = 300;

function labelled(label, input) {
  return make('label', 'field', make('span', '', label), input);
}

function field(tag, { value = '', placeholder = '', change, ...more }) {
  const input = Object.assign(make(tag), { value, placeholder, spellcheck: false, ...more });
  input.addEventListener('input', () => change(input.value));
  return input;
}

const bytes = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(',', 2)[1]);
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(file);
});

// What is wrong with a draft, each problem with its place.
function problems(refused) {
  const listed = (refused.problems ?? []).map((each) => {
    const where = each.line ? `${each.field}, line ${each.line}, column ${each.column}` : each.field;
    return make('li', '', make('b', '', where), ` ${each.says}`);
  });
  return listed.length ? make('ul', 'problems bad', ...listed) : make('p', 'bad', refused.message);
}

export class MailTemplates {
  static title = 'Mail templates';
  static group = 'Set up';
  every_ms = 600_000;

  constructor(room, api, { tell, asked: [type = 'default', locale = 'en'] }) {
    Object.assign(this, { api, tell, type, locale, dirty: false });
    this.types = make('select');
    this.types.setAttribute('aria-label', 'Type');
    this.locales = field('input', { value: locale, change: (value) => this.#turn(this.type, value) });
    this.locales.setAttribute('aria-label', 'Language');
    this.locales.setAttribute('list', 'mail-languages');
    this.known = make('datalist');
    this.known.id = 'mail-languages';
    this.words = make('div', 'words');
    this.layout = make('div', 'words');
    [this.said, this.wrong] = [make('div'), make('div')];
    for (const each of [this.said, this.wrong]) each.setAttribute('role', 'status');
    this.seen = make('div', 'seen');
    this.to = Object.assign(make('input'), { type: 'email', placeholder: 'An address, or empty for the mail catcher' });
    this.to.setAttribute('aria-label', 'Send a test to');
    this.types.addEventListener('change', () => this.#turn(this.types.value, this.locale));
    room.classList.add('mail-templates');
    room.append(
      make('h2', '', MailTemplates.title),
      make('p', 'quiet', 'Words are plain text with placeholders such as {title}, {actor.name} or {metadata.key}. A mail never fails for a template: Nova’s own words stand in.'),
      make('div', 'row', labelled('Mails of', this.types), labelled('in', this.locales), this.known),
      this.said, this.wrong,
      make('div', 'halves',
        make('section', '', make('h3', '', 'Words'), this.words,
          make('div', 'row', press('Save words', () => this.#save()), sure('Back to Nova’s words', 'Lose your words?', () => this.#remove())),
          make('details', 'look', make('summary', '', 'Layout of all mails'), this.layout,
            make('div', 'row', press('Save layout', () => this.#saveLayout()), sure('Back to Nova’s layout', 'Lose your layout?', () => this.#removeLayout())))),
        make('section', '', make('h3', '', 'Preview'), this.seen,
          make('div', 'row', this.to, press('Send a test', () => this.#test())))));
  }

  async refresh() {
    if (this.dirty) return; // what is being written stays as it is
    const [types, { data }, layout] = await Promise.all([
      this.api.get('/v1/notification-types'), this.api.get('/v1/mail-templates'), this.api.get('/v1/mail-layout'),
    ]);
    this.stored = Object.fromEntries(data.map((each) => [each.type, each.template]));
    this.draftLayout = layout;
    const names = ['default', 'digest', ...types.map(({ name }) => name)];
    this.types.replaceChildren(...names.map((name) => new Option(this.stored[name] ? `${name} (yours)` : name, name)));
    this.#show();
  }

  #turn(type, locale) {
    [this.type, this.locale] = [type, locale];
    this.dirty = false;
    this.#show();
  }

  #show() {
    const found = this.stored[this.type];
    this.draft = structuredClone(found ?? { templates: {}, fallback: 'en' });
    this.types.value = this.type;
    const own = Object.keys(this.draft.templates);
    this.known.replaceChildren(...[...new Set([...own, ...LANGUAGES])].map((each) => new Option(each)));
    const words = this.draft.templates[this.locale] ?? {};
    this.words.replaceChildren(...Object.entries(WORDS).map(([name, [label, otherwise]]) => labelled(label, field(name === 'body' ? 'textarea' : 'input', {
      value: words[name] ?? '', placeholder: otherwise || 'Open', dir: 'auto', rows: 5,
      change: (value) => this.#write(name, value),
    }))));
    this.#showLayout();
    this.#look();
  }

  #showLayout() {
    const layout = this.draftLayout;
    const set = (change) => {
      change();
      this.#later();
    };
    const around = layout.words?.[this.locale] ?? {};
    const write = (name, value) => set(() => {
      layout.words = { ...layout.words, [this.locale]: { ...layout.words?.[this.locale], [name]: value } };
    });
    const logo = Object.assign(make('input'), { type: 'file', accept: 'image/png,image/jpeg,image/gif' });
    logo.addEventListener('change', async () => {
      const image = logo.files[0] && await bytes(logo.files[0]);
      set(() => { layout.logo = image ? { ...layout.logo, image } : null; });
    });
    const colors = Object.entries(COLORS).map(([name, label]) => labelled(label, field('input', {
      type: 'color', value: layout.colors[name], change: (value) => set(() => { layout.colors = { ...layout.colors, [name]: value }; }),
    })));
    this.layout.replaceChildren(
      labelled('Name of the app', field('input', { value: layout.name, change: (value) => set(() => { layout.name = value; }) })),
      labelled('Where logo and name lead', field('input', { value: layout.url, placeholder: 'https://', change: (value) => set(() => { layout.url = value; }) })),
      labelled('Logo, up to 24 KB', logo),
      make('div', 'colors', ...colors),
      labelled(`Footer (${this.locale})`, field('textarea', { value: around.footer ?? '', rows: 2, dir: 'auto', change: (value) => write('footer', value) })),
      labelled('HTML of your own', field('textarea', { value: layout.html ?? '', rows: 6, placeholder: '{logo}{heading}{body}{button}{footer}{unsubscribe}', change: (value) => set(() => { layout.html = value || null; }) })));
  }

  #write(name, value) {
    const words = { ...this.draft.templates[this.locale], [name]: value };
    // Nova's own words are what an empty field means, but for those that may be left out.
    if (!value) delete words[name];
    this.draft.templates[this.locale] = words;
    if (!this.draft.templates[this.draft.fallback]) this.draft.fallback = this.locale;
    this.#later();
  }

  #later() {
    this.dirty = true;
    this.said.replaceChildren();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#look(), WAIT_MS);
  }

  // What is written, as the reader would see it.
  async #look() {
    const asked = (this.asked = {});
    try {
      const seen = await this.api.post(this.#path('/preview'), this.#drafted());
      if (asked !== this.asked) return; // something else is looked at by now
      this.wrong.replaceChildren();
      this.seen.replaceChildren(letterOf(seen));
    } catch (refused) {
      if (asked === this.asked) this.#refused(refused);
    }
  }

  #refused(refused) {
    if (refused.status === 422) this.wrong.replaceChildren(problems(refused));
    else this.tell(refused);
  }

  #path(more = '') {
    return `/v1/mail-templates/${encodeURIComponent(this.type)}${more}`;
  }

  #drafted() {
    const hasWords = Object.keys(this.draft.templates).length > 0;
    return { locale: this.locale, layout: this.draftLayout, ...(hasWords && { template: this.draft }) };
  }

  async #do(call, says) {
    try {
      await call();
      this.dirty = false;
      await this.refresh();
      this.said.replaceChildren(make('p', 'told', says));
    } catch (refused) {
      this.#refused(refused);
    }
  }

  #save() {
    return this.#do(() => this.api.put(this.#path(), this.draft), `Saved. Mails of ${this.type} have these words now.`);
  }

  #remove() {
    return this.#do(() => this.stored[this.type] && this.api.delete(this.#path()), 'Nova’s own words are used.');
  }

  #saveLayout() {
    return this.#do(() => this.api.put('/v1/mail-layout', this.draftLayout), 'Saved. All mails look so now.');
  }

  #removeLayout() {
    return this.#do(() => this.api.delete('/v1/mail-layout'), 'Nova’s own layout is used.');
  }

  async #test() {
    const to = this.to.value.trim();
    try {
      const { verdict, text, carrier } = await this.api.post(this.#path('/test'), { ...this.#drafted(), ...(to && { to }) });
      const where = carrier === 'outbox' ? 'The mail catcher has it.' : text;
      this.said.replaceChildren(make('p', verdict === 'sent' ? 'told' : 'bad', where));
    } catch (refused) {
      this.#refused(refused);
    }
  }
}

function letterOf(seen) {
  const language = `${seen.locale}, ${seen.dir === 'rtl' ? 'from right to left' : 'from left to right'}`;
  const source = seen.template === 'nova' ? 'Nova’s own words' : `the words of ${seen.template}`;
  const subject = make('h3', '', seen.subject);
  subject.dir = 'auto';
  const plain = make('pre', '', seen.text);
  plain.tabIndex = 0;
  plain.dir = 'auto';
  return make('article', 'letter', subject, make('p', 'quiet', `${source}, ${language}`),
    seen.fault && make('p', 'bad', seen.fault), page(seen.subject, seen.html),
    make('details', 'plain', make('summary', '', 'As plain text'), plain));
}
