// A person's quiet hours: shown for the next day, and changed.

import { make } from '../../shared/dom.js';
import { ribbon } from '../../shared/ribbon.js';
import { checks } from '../parts/checks.js';
import { sure } from '../parts/confirm.js';
import { Form } from '../parts/form.js';
import { CHANNELS } from '../parts/words.js';

const DAYS = { mon: 'Mon', tue: 'Tue', wed: 'Wed', thu: 'Thu', fri: 'Fri', sat: 'Sat', sun: 'Sun' };
const HELD = ['push', 'web_push', 'email'];

// One window for the chosen days is what the form can change; other schedules are shown, and replaced.
function read(schedule) {
  const windows = Object.values(schedule?.days ?? {}).flat();
  const [first] = windows;
  const isPlain = windows.every((each) => each.start === first.start && each.end === first.end)
    && Object.values(schedule?.days ?? {}).every((each) => each.length <= 1);
  return {
    isPlain, start: first?.start ?? '22:00', end: first?.end ?? '07:00',
    days: Object.entries(schedule?.days ?? {}).filter(([, each]) => each.length).map(([day]) => day),
  };
}

export class Quiet {
  constructor(api, path, tell) {
    this.api = api;
    this.path = `${path}/quiet-hours`;
    this.now = make('div');
    this.note = make('p', 'hint', 'This schedule has several windows. Saving replaces it by the one below.');
    this.days = checks('Days on which it begins', DAYS);
    this.channels = checks('What is held', Object.fromEntries(HELD.map((each) => [each, CHANNELS[each]])));
    this.form = new Form({
      label: 'Quiet hours', submit: 'Save', says: 'Saved.', codes: { unknown_timezone: 'timezone', always_quiet: 'end' },
      more: [sure('Have none', 'Remove the quiet hours?', () => api.delete(this.path).then(() => this.refresh()).catch(tell))],
      fields: [
        { name: 'start', label: 'From', kind: 'time', required: true },
        { name: 'end', label: 'Until', kind: 'time', required: true, also: ['days'] },
        { name: 'timezone', label: 'Time zone', most: 64, hint: 'The person’s own when empty.' },
      ],
      send: ({ start, end, timezone }) => api.put(this.path, {
        days: Object.fromEntries(this.days.value.map((day) => [day, [{ start, end }]])),
        channels: this.channels.value, ...(timezone && { timezone }),
      }),
      done: (said) => this.#show(said),
    });
    this.form.root.lastElementChild.before(this.days.root, this.channels.root);
    this.root = make('div', '', this.now, this.note, this.form.root);
    this.note.hidden = true;
    this.refresh().catch((refused) => refused.status !== 404 && tell(refused));
  }

  async refresh() {
    this.#show(await this.api.get(this.path));
  }

  #show(said) {
    const { isPlain, days, ...times } = read(said.schedule);
    this.now.replaceChildren(ribbon(said));
    this.note.hidden = isPlain;
    this.form.fill({ ...times, timezone: said.schedule?.timezone ?? '' });
    this.days.value = said.schedule ? days : Object.keys(DAYS);
    this.channels.value = said.schedule?.channels ?? HELD;
  }
}
