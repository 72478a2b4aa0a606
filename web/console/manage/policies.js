// Delivery policies: how urgent a type is, and how often, gathered and when it goes out.

import { make } from '../../shared/dom.js';
import { sure } from '../parts/confirm.js';
import { Form } from '../parts/form.js';
import { Table } from '../parts/table.js';
import { CHANNELS, counted, number, spaced } from '../parts/words.js';

const OUTSIDE = ['push', 'web_push', 'email'];
const path = (type) => `/v1/delivery-policies/${encodeURIComponent(type)}`;

// Seconds as people say them.
export function span(seconds) {
  const [size, name] = [[86_400, 'day'], [3_600, 'hour'], [60, 'minute'], [1, 'second']].find(([each]) => seconds >= each && seconds % each === 0) ?? [1, 'second'];
  return counted(seconds / size, name);
}

function digest(rule) {
  const when = rule.at ? `at ${rule.at.join(', ')}${rule.days ? ` on ${rule.days.join(', ')}` : ''}` : `${span(rule.window_s)} after the first`;
  return `gathered, sent ${when}${rule.by === 'object' ? ', one for each thing' : ''}`;
}

const each = (rule, whom) => rule && `at most ${number(rule.limit)} in ${span(rule.per_s)} ${whom}`;

export function inWords(policy) {
  const channels = OUTSIDE.flatMap((channel) => [
    policy.digests?.[channel] && `${CHANNELS[channel]}: ${digest(policy.digests[channel])}`,
    policy.escalate_after_s?.[channel] !== undefined && `${CHANNELS[channel]}: only if unseen for ${span(policy.escalate_after_s[channel])}`,
  ]);
  return [
    policy.urgent && 'urgent', policy.ttl_s && `worth trying for ${span(policy.ttl_s)}`, each(policy.throttle, 'for each person'),
    each(policy.per_actor, 'from one person to another'), each(policy.rate, 'over all people'), ...channels,
  ].filter(Boolean).join('; ') || 'goes out at once in every channel';
}

export class Policies {
  static title = 'Delivery policies';
  static group = 'Set up';
  every_ms = 15_000;

  constructor(room, api, context) {
    this.inner = context.asked[0] ? new Policy(room, api, context) : new List(room, api);
  }

  async refresh() {
    await this.inner.refresh?.();
  }
}

class List {
  constructor(room, api) {
    this.api = api;
    this.table = new Table('Delivery policies', ['Type', 'How it is delivered', 'Kind'], 'wrapped');
    room.append(make('h2', '', 'Delivery policies'),
      make('p', 'quiet', 'How push and mail of each type go out. The inbox always gets a notification at once.'), this.table.root);
  }

  async refresh() {
    const [policies, types] = await Promise.all([this.api.get('/v1/delivery-policies'), this.api.get('/v1/notification-types')]);
    const known = new Map(policies.map((policy) => [policy.type, policy]));
    const names = [...new Set([...types.map(({ name }) => name), ...known.keys()])].sort();
    this.table.show(names.map((name) => ({ name, ...known.get(name) })), ({ name, policy, changed }) => [
      Object.assign(make('a', '', spaced(name)), { href: `#policies/${encodeURIComponent(name)}` }), inWords(policy ?? {}),
      make('span', 'chip', changed ? 'changed' : policy ? 'built in' : 'plain'),
    ]);
  }
}

const bound = (name, group, hint) => [
  { group, name: `${name}_limit`, label: 'At most', kind: 'number', least: 1, hint, also: [name] },
  { group, name: `${name}_per_s`, label: 'In so many seconds', kind: 'number', least: 0 },
];

class Policy {
  constructor(room, api, { tell, asked: [type] }) {
    this.api = api;
    this.tell = tell;
    this.type = type;
    this.acts = make('div', 'row');
    this.says = make('p', 'told');
    this.form = new Form({
      label: 'Delivery policy', submit: 'Save', says: 'Saved.', codes: { unclear_digest: 'digest_push' },
      fields: [
        { name: 'urgent', label: 'Urgent: wakes a sleeping phone', kind: 'check', wide: true },
        { name: 'ttl_s', label: 'Worth trying for so many seconds', kind: 'number', hint: 'The provider’s usual time when empty.' },
        ...bound('throttle', 'For each person', 'What is beyond stays in the inbox only.'),
        ...bound('per_actor', 'From one person to another', 'A built-in bound when empty.'),
        ...bound('rate', 'Over all people', 'What is beyond waits for its turn.'),
        ...OUTSIDE.map((channel) => ({ group: 'Only if unseen after so many seconds', name: `escalate_${channel}`, label: CHANNELS[channel], kind: 'number', least: 0, also: ['escalate_after_s'], hint: channel === 'push' ? 'Empty: at once. Or as soon as the other channels have failed.' : '' })),
        ...OUTSIDE.map((channel, at) => ({ group: 'Gather several into one', name: `digest_${channel}`, label: CHANNELS[channel], also: ['digests'], placeholder: at ? '' : '18:00, or 900', hint: at ? '' : 'At times such as 08:00, 18:00, or for so many seconds from the first. Empty: each by itself.' })),
      ],
      send: (values) => api.put(path(type), this.#policy(values)),
      done: (said) => this.#show(said),
    });
    room.append(make('p', 'back', Object.assign(make('a', '', 'All delivery policies'), { href: '#policies' })),
      make('h2', '', `Delivery of ${spaced(type)}`), this.says, this.form.root, this.acts);
    this.#load().catch(tell);
  }

  async #load() {
    const all = await this.api.get('/v1/delivery-policies');
    this.#show(all.find(({ type }) => type === this.type) ?? { type: this.type, policy: {}, changed: false });
  }

  #show({ policy, changed }) {
    this.says.textContent = `Now: ${inWords(policy)}.`;
    const bounds = Object.fromEntries(['throttle', 'per_actor', 'rate'].flatMap((name) => [[`${name}_limit`, policy[name]?.limit], [`${name}_per_s`, policy[name]?.per_s]]));
    const escalations = Object.fromEntries(OUTSIDE.map((channel) => [`escalate_${channel}`, policy.escalate_after_s?.[channel]]));
    const digests = Object.fromEntries(OUTSIDE.map((channel) => [`digest_${channel}`, policy.digests?.[channel]?.at?.join(', ') ?? policy.digests?.[channel]?.window_s ?? undefined]));
    this.policy = policy;
    this.form.fill({ urgent: policy.urgent, ttl_s: policy.ttl_s ?? undefined, ...bounds, ...escalations, ...digests });
    this.acts.replaceChildren(
      ...(changed ? [sure('Go back to the built-in policy', 'Lose your changes?', () => this.api.delete(path(this.type)).then(() => this.#load()).catch(this.tell))] : []),
      Object.assign(make('a', '', 'Texts of this type'), { href: `#types/${encodeURIComponent(this.type)}` }));
  }

  #policy(values) {
    const bounds = ['throttle', 'per_actor', 'rate'].filter((name) => values[`${name}_limit`] !== undefined || values[`${name}_per_s`] !== undefined)
      .map((name) => [name, { limit: values[`${name}_limit`], per_s: values[`${name}_per_s`] }]);
    const later = OUTSIDE.filter((channel) => values[`escalate_${channel}`] !== undefined).map((channel) => [channel, values[`escalate_${channel}`]]);
    const digests = OUTSIDE.filter((channel) => values[`digest_${channel}`] !== undefined)
      .map((channel) => [channel, this.#digest(channel, values[`digest_${channel}`])]);
    return {
      urgent: values.urgent, ...(values.ttl_s !== undefined && { ttl_s: values.ttl_s }), ...Object.fromEntries(bounds),
      escalate_after_s: Object.fromEntries(later), digests: Object.fromEntries(digests),
    };
  }

  // What the form does not show of a digest (days, by what it is gathered) stays as it is.
  #digest(channel, text) {
    const { at: _at, window_s: _window, ...kept } = this.policy.digests?.[channel] ?? {};
    return { ...kept, ...(/^[\d.]+$/.test(text) ? { window_s: Number(text) } : { at: text.split(',').map((each) => each.trim()) }) };
  }
}
