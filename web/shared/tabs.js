// Tabs: a click or an arrow key chooses one, and its panel is shown.

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const panel = (tab) => document.getElementById(tab.getAttribute('aria-controls'));

export function tabs(list, chosen) {
  const all = [...list.querySelectorAll('[role="tab"]')];

  function choose(tab) {
    for (const each of all) {
      each.setAttribute('aria-selected', String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      panel(each).hidden = true;
    }
    panel(tab).hidden = false; // last: tabs may share one panel
    panel(tab).setAttribute('aria-labelledby', tab.id);
    chosen(tab);
  }

  function next(at, key) {
    if (key === 'Home') return all[0];
    if (key === 'End') return all.at(-1);
    return STEPS[key] && all[(at + STEPS[key] + all.length) % all.length];
  }

  list.addEventListener('click', ({ target }) => {
    const tab = target.closest('[role="tab"]');
    if (tab) choose(tab);
  });
  list.addEventListener('keydown', (pressed) => {
    const tab = next(all.indexOf(pressed.target), pressed.key);
    if (!tab) return;
    pressed.preventDefault();
    tab.focus();
    choose(tab);
  });
}
