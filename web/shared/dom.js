// Elements, made from text alone: nothing here can turn a string into markup.

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((each) => (each ?? false) !== false));
  return node;
}

// A button; while its call is under way it takes no second click.
export function press(label, call, className) {
  const button = make('button', className, label);
  button.type = 'button';
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await call(button);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

// Run a button's call; until it has ended, the button takes no second click. It keeps the focus,
// which one that is `disabled` would lose.
export async function busy(button, call) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    await call();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

// A line that opens, and asks for its content whenever it does.
export function opening(line, load, tell) {
  const details = make('details', 'opening', make('summary', '', ...line));
  const inside = make('div', 'inside');
  details.append(inside);
  details.addEventListener('toggle', async () => {
    if (!details.open) return;
    try {
      inside.replaceChildren(...[await load()].flat());
    } catch (refused) {
      details.open = false;
      tell(refused);
    }
  });
  return details;
}
