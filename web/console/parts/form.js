// Forms made of data: fields with a label, a hint and their own error; a refusal stands beside its field.

import { make } from '../../shared/dom.js';

let made = 0; // ids tie labels and errors to their fields

function control({ kind = 'text', options, rows }) {
  if (kind === 'select') {
    return make('select', '', ...Object.entries(options).map(([value, label]) => new Option(label, value)));
  }
  if (kind === 'area' || kind === 'json') {
    const area = make('textarea', kind === 'json' ? 'code' : '');
    area.rows = rows ?? 3;
    return area;
  }
  const input = make('input');
  input.type = kind === 'check' ? 'checkbox' : kind;
  return input;
}

// What a field holds, as the API takes it; an empty one is `undefined`.
const READ = {
  check: (input) => input.checked,
  number: (input) => (input.value === '' ? undefined : Number(input.value)),
  json: (input) => (input.value.trim() ? JSON.parse(input.value) : undefined),
};
const WRITE = {
  check: (input, value) => { input.checked = Boolean(value); },
  json: (input, value) => { input.value = value === undefined ? '' : JSON.stringify(value, null, 2); },
};

// A field: {name, label, kind, hint, required, most, placeholder, options, group, also}. `also` are further
// places in the body that it stands for; who has a control of their own gives it, with `read` and `write`.
export class Field {
  constructor(spec) {
    this.spec = spec;
    const id = `field-${made += 1}`;
    this.input = spec.control ?? control(spec);
    this.input.id = id;
    if (spec.most) this.input.maxLength = spec.most;
    if (spec.least !== undefined) this.input.min = spec.least;
    if (spec.kind === 'number') this.input.step = 'any';
    if (spec.placeholder) this.input.placeholder = spec.placeholder;
    if (spec.required) this.input.required = true;
    this.input.autocomplete = 'off';
    this.error = make('p', 'error');
    this.error.id = `${id}-error`;
    const label = make('label', '', spec.label);
    label.htmlFor = id;
    const hint = spec.hint && make('p', 'hint', spec.hint);
    if (hint) hint.id = `${id}-hint`;
    this.described = hint ? [hint.id] : [];
    this.#describe();
    const isCheck = spec.kind === 'check';
    this.root = make('div', `field ${spec.kind ?? 'text'} ${spec.wide ? 'wide' : ''}`,
      ...(isCheck ? [make('div', 'checked', this.input, label)] : [spec.label && label, spec.shown ?? this.input]), hint, this.error);
    this.input.addEventListener('input', () => this.says(''));
  }

  get value() {
    const read = READ[this.spec.kind] ?? ((input) => input.value.trim() || undefined);
    return this.spec.read ? this.spec.read() : read(this.input);
  }

  set value(value) {
    const write = WRITE[this.spec.kind] ?? ((input) => { input.value = value ?? ''; });
    if (this.spec.write) this.spec.write(value);
    else write(this.input, value);
  }

  says(text) {
    this.error.textContent = text;
    if (text) this.input.setAttribute('aria-invalid', 'true');
    else this.input.removeAttribute('aria-invalid');
    this.#describe(text ? [this.error.id] : []);
  }

  #describe(more = []) {
    const ids = [...this.described, ...more].join(' ');
    if (ids) this.input.setAttribute('aria-describedby', ids);
    else this.input.removeAttribute('aria-describedby');
  }
}

// Fields with the same `group` stand together, under its name.
function grouped(fields) {
  const groups = new Map();
  return fields.flatMap(({ spec: { group }, root }) => {
    if (!group) return [root];
    const box = groups.get(group);
    if (box) {
      box.append(root);
      return [];
    }
    const fresh = make('div', 'fields', root);
    groups.set(group, fresh);
    return [make('fieldset', 'group', make('legend', '', group), fresh)];
  });
}

const sentence = (refused) => [refused.message, refused.hint].filter(Boolean).join(' ');

// `send(values, fields)` calls the API. What it refuses is shown at the field that its `at` or `code`
// names (`codes`: field by code), or else under the form.
export class Form {
  constructor({ fields, submit, send, done = () => {}, codes = {}, says = '', more = [], label }) {
    this.fields = new Map(fields.map((spec) => [spec.name, new Field(spec)]));
    this.codes = codes;
    this.button = make('button', 'primary', submit);
    this.told = make('p', 'form-says');
    this.told.setAttribute('role', 'status');
    this.root = make('form', 'fields', ...grouped([...this.fields.values()]),
      make('div', 'row wide', this.button, ...more, this.told));
    this.root.noValidate = true;
    if (label) this.root.setAttribute('aria-label', label);
    this.root.addEventListener('submit', async (submitted) => {
      submitted.preventDefault();
      this.told.textContent = '';
      if (!this.#isWhole()) return;
      this.button.disabled = true;
      try {
        done(await send(this.values(), this.fields));
        if (says) this.told.textContent = says;
      } catch (refused) {
        this.refused(refused);
      } finally {
        this.button.disabled = false;
      }
    });
  }

  values() {
    return Object.fromEntries([...this.fields].map(([name, field]) => [name, field.value]));
  }

  fill(values) {
    for (const [name, field] of this.fields) field.value = values[name];
    return this;
  }

  clear() {
    for (const field of this.fields.values()) {
      field.value = undefined;
      field.says('');
    }
  }

  refused(refused) {
    if (refused.status === undefined) throw refused; // a bug, and no refusal
    const field = this.#meant(refused);
    if (!field) {
      this.told.replaceChildren(make('span', 'error', sentence(refused)));
      return;
    }
    field.says(sentence(refused));
    field.input.focus();
  }

  // `$.templates[0].title` and `$.url` name `templates` and `url`.
  #meant({ at, code }) {
    const [, first] = /^\$\.([A-Za-z_]+)/.exec(at) ?? [];
    const name = this.codes[code] ?? first;
    return this.fields.get(name) ?? [...this.fields.values()].find(({ spec }) => spec.also?.includes(name));
  }

  // What the browser itself can tell is said in the same place.
  #isWhole() {
    let first;
    for (const field of this.fields.values()) {
      const wrong = problemOf(field);
      field.says(wrong);
      if (wrong) first ??= field;
    }
    first?.input.focus();
    return !first;
  }
}

function problemOf(field) {
  try {
    const { value } = field;
    if (field.spec.required && (value ?? '') === '') return 'This is needed.';
    return field.input.validity?.badInput ? 'This cannot be read.' : '';
  } catch (wrong) {
    return `This is not JSON: ${wrong.message}.`;
  }
}
