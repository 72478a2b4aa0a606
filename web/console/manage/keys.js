// Server keys: which there are, a new one (shown once), and the end of one.

import { make, press } from '../shared/dom.js';
import { moment } from '../shared/time.js';

const COLUMNS = ['Name', 'Begins with', 'Made', 'Used last', ''];

// A button that asks once more, in its own place, before it does something for good.
function sure(label, really, act) {
  const button = make('button', '', label);
  button.type = 'button';
  let asked = false;
  const ask = (now) => {
    asked = now;
    button.textContent = now ? really : label;
    button.classList.toggle('danger', now);
  };
  button.addEventListener('click', () => {
    if (asked) act();
    ask(!asked);
  });
  button.addEventListener('blur', () => ask(false));
  button.addEventListener('keydown', ({ key }) => key === 'Escape' && ask(false));
  return button;
}

export class Keys {
  static title = 'Keys';
  every_ms = 10_000;
  #key = '';

  constructor(room, api, { tell }) {
    this.api = api;
    this.tell = tell;
    this.name = make('input');
    this.name.required = true;
    this.name.maxLength = 128;
    this.name.autocomplete = 'off';
    this.name.placeholder = 'What the key is for';
    this.name.setAttribute('aria-label', this.name.placeholder);
    const button = make('button', '', 'Make a key');
    const form = make('form', 'row', this.name, button);
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      button.disabled = true; // a key too many would open doors, too
      this.#make().catch(tell).finally(() => { button.disabled = false; });
    });
    this.made = make('div', 'made');
    this.made.setAttribute('role', 'status');
    this.rows = make('tbody');
    const head = make('tr', '', ...COLUMNS.map((each) => make('th', '', each)));
    const table = make('table', 'keys', make('thead', '', head), this.rows);
    table.setAttribute('aria-label', 'Server keys');
    const scroll = make('div', 'scroll', table);
    scroll.tabIndex = 0;
    room.append(make('h2', '', 'Server keys'), form, this.made, scroll,
      make('p', 'quiet', 'A key may do everything. Nova keeps its digest alone, so nobody can read it again; when it was used is known within a minute. Revoking works everywhere within a second.'));
  }

  async refresh() {
    const { data } = await this.api.get('/v1/keys');
    const key = JSON.stringify(data);
    if (key === this.#key) return; // a button that was pressed once stays as it is
    this.#key = key;
    this.rows.replaceChildren(...data.map((each) => this.#row(each)));
  }

  #row(each) {
    const isOwn = Boolean(each.prefix) && this.api.token.startsWith(each.prefix);
    const name = make('th', '', each.name, isOwn && make('span', 'chip', 'you'));
    const revoke = sure('Revoke', isOwn ? 'Revoke, and sign out?' : 'Revoke for good?', () => this.#revoke(each.id));
    revoke.setAttribute('aria-description', each.name);
    const facts = [
      each.prefix ? make('code', '', `${each.prefix}…`) : make('small', '', 'not known'),
      moment(each.created_at),
      each.used_at ? moment(each.used_at) : make('small', '', 'not yet'),
    ].map((fact, number) => {
      const cell = make('td', '', fact);
      cell.dataset.name = COLUMNS[number + 1]; // a narrow window has no heads
      return cell;
    });
    return make('tr', '', name, ...facts, make('td', 'act', revoke));
  }

  async #make() {
    const { name, secret } = await this.api.post('/v1/keys', { name: this.name.value.trim() });
    this.name.value = '';
    const shown = make('code', '', secret);
    const copy = press('Copy', async () => {
      copy.textContent = await copied(shown);
    });
    const done = press('I have it', () => this.made.replaceChildren());
    this.made.replaceChildren(
      make('p', '', 'The key ', make('b', '', name), ' is shown this once:'), shown, make('div', 'row', copy, done));
    await this.refresh();
  }

  async #revoke(id) {
    try {
      await this.api.delete(`/v1/keys/${id}`);
      await this.refresh();
    } catch (refused) {
      this.tell(refused);
    }
  }
}

// Pages that did not come over TLS have no clipboard: there it is selected, to be copied by hand.
async function copied(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return 'Copied';
  } catch {
    getSelection().selectAllChildren(node);
    return 'Selected: copy it';
  }
}
