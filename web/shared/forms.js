// A form that says how its sending went. What was typed stays until Nova has it.

import { inWords } from './api.js';
import { busy, make } from './dom.js';

export function sending(form, { send, sent, empty = 'Write something first.' }) {
  const field = form.querySelector('input');
  const button = form.querySelector('button');
  const said = make('p', 'feedback');
  said.setAttribute('role', 'status');
  form.after(said);

  function say(text, className) {
    said.className = className;
    said.textContent = text;
    field.setAttribute('aria-invalid', String(className === 'feedback problem'));
  }

  async function attempt(text) {
    say('Sending…', 'feedback');
    try {
      await send(text);
      if (field.value.trim() === text) field.value = '';
      say(sent, 'feedback done');
    } catch (refused) {
      say(inWords(refused), 'feedback problem');
    }
  }

  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    const text = field.value.trim();
    if (text) busy(button, () => attempt(text));
    else {
      say(empty, 'feedback problem');
      field.focus();
    }
  });
  field.addEventListener('input', () => say('', 'feedback'));
}
