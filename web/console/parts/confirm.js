// A button that asks once more, in its own place, before it does something for good.

import { make } from '../../shared/dom.js';

export function sure(label, really, act) {
  const button = make('button', '', label);
  button.type = 'button';
  let asked = false;
  const ask = (now) => {
    asked = now;
    button.textContent = now ? really : label;
    button.classList.toggle('danger', now);
  };
  button.addEventListener('click', async () => {
    const isSure = asked;
    ask(!asked);
    if (!isSure) return;
    button.disabled = true;
    try {
      await act();
    } finally {
      button.disabled = false;
    }
  });
  button.addEventListener('blur', () => ask(false));
  button.addEventListener('keydown', ({ key }) => key === 'Escape' && ask(false));
  return button;
}
