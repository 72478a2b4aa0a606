// Something to copy: a command, or a secret that is shown once.

import { make, press } from '../../shared/dom.js';

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

export function copyButton(node) {
  const button = press('Copy', async () => {
    button.textContent = await copied(node);
    setTimeout(() => { button.textContent = 'Copy'; }, 4_000);
  });
  return button;
}

// A command in its own block, with a button beside it.
export function command(text, label) {
  const code = make('code', '', text);
  const shown = make('pre', '', code);
  shown.tabIndex = 0;
  shown.setAttribute('aria-label', label);
  const button = copyButton(code);
  button.setAttribute('aria-description', label);
  return make('div', 'command', shown, button);
}

// A secret that cannot be read again, and a button that takes it away.
export function secretOnce(sentence, secret, done) {
  const shown = make('code', '', secret);
  return [make('p', '', ...sentence), shown, make('div', 'row', copyButton(shown), press('I have copied it', done))];
}
