// Several of a few: boxes to check, under one name.

import { make } from '../../shared/dom.js';

export function checks(label, all) {
  const boxes = Object.entries(all).map(([value, text]) => {
    const box = Object.assign(make('input'), { type: 'checkbox', value });
    return { box, root: make('label', 'inline', box, ' ', text) };
  });
  const root = make('fieldset', '', make('legend', '', label), ...boxes.map((each) => each.root));
  return {
    root,
    get value() { return boxes.filter(({ box }) => box.checked).map(({ box }) => box.value); },
    set value(chosen) { for (const { box } of boxes) box.checked = chosen.includes(box.value); },
  };
}
