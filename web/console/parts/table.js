// Tables that scroll sideways where there is room, and become cards on a phone.

import { make } from '../../shared/dom.js';

// `heads` are the columns' names; a row is a list of cells, the first of which names it.
export class Table {
  constructor(label, heads, className = '') {
    this.heads = heads;
    this.rows = make('tbody');
    const head = make('tr', '', ...heads.map((each) => {
      const cell = make('th', '', each);
      cell.scope = 'col';
      return cell;
    }));
    const table = make('table', `cards ${className}`, make('thead', '', head), this.rows);
    table.setAttribute('aria-label', label);
    this.root = make('div', 'scroll', table);
    this.root.tabIndex = 0;
    this.root.setAttribute('role', 'region');
    this.root.setAttribute('aria-label', label);
  }

  // Rows of `data`, made anew only when it has changed: a link or a button in them keeps its focus.
  show(data, cells) {
    const key = JSON.stringify(data);
    if (key === this.key) return false;
    this.key = key;
    this.rows.replaceChildren(...data.map((each) => this.row(cells(each))));
    return true;
  }

  add(data, cells) {
    this.rows.append(...data.map((each) => this.row(cells(each))));
  }

  row([name, ...cells]) {
    const first = make('th', '', ...[name].flat());
    first.scope = 'row';
    return make('tr', '', first, ...cells.map((cell, at) => {
      const box = make('td', '', ...[cell].flat());
      box.dataset.name = this.heads[at + 1] ?? '';
      return box;
    }));
  }
}

// Facts by name.
export function facts(pairs) {
  return make('dl', 'ids', ...Object.entries(pairs).filter(([, value]) => (value ?? '') !== '')
    .flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
}
