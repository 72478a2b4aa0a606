// Ben's inbox on the page: one entry a notification, with its story on request.

export const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

export function story(trace) {
  const fall = make('div', 'fall');
  const end = Math.max(...trace.steps.map((step) => step.ms), 0.1);
  for (const step of trace.steps) {
    const bar = document.createElement('progress');
    bar.max = end;
    bar.value = step.ms;
    bar.title = step.says;
    fall.append(make('span', '', step.step), bar, make('span', '', `${step.ms.toFixed(1)} ms`));
  }
  return fall;
}

export class Inbox {
  constructor(list, empty, { trace }) {
    this.list = list;
    this.empty = empty;
    this.trace = trace;
    this.entries = new Map();
  }

  add(notification, badge, recovered) {
    if (this.entries.has(notification.id)) return;
    const entry = make('li', notification.read_at ? '' : 'unread');
    entry.dataset.event = notification.event_id;
    const line = make('div', 'line');
    line.append(make('span', 'title', notification.title));
    if (badge) line.append(make('span', recovered ? 'badge recovered' : 'badge', badge));
    entry.append(line);
    if (notification.body) entry.append(make('div', 'quiet', notification.body));
    entry.append(this.#why(notification));
    this.entries.set(notification.id, entry);
    this.list.prepend(entry);
    this.empty.hidden = true;
  }

  // A burst grew: the same notification, in its new words.
  update(notification) {
    const entry = this.entries.get(notification.id);
    if (entry) entry.querySelector('.title').textContent = notification.title;
  }

  readAll() {
    for (const entry of this.entries.values()) entry.classList.remove('unread');
  }

  // The last moments of a story are written down a little after they happened.
  async #whole(id) {
    for (let attempt = 0; ; attempt += 1) {
      const trace = await this.trace(id);
      if (attempt === 10 || trace.steps.some((step) => step.step === 'published')) return trace;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #why(notification) {
    const details = document.createElement('details');
    details.append(make('summary', '', 'Why, and how fast?'));
    details.addEventListener('toggle', async () => {
      if (!details.open || details.childElementCount > 1) return;
      const trace = await this.#whole(notification.id);
      details.append(make('p', 'quiet', trace.says), story(trace));
    });
    return details;
  }
}
