// The operators' console: the sign-in, the menu, and one view at a time, by the address's fragment.

import { Api } from '../shared/api.js';
import { make } from '../shared/dom.js';
import { Keys } from './manage/keys.js';
import { MailTemplates } from './manage/mail-templates.js';
import { People } from './manage/people.js';
import { Policies } from './manage/policies.js';
import { Posts } from './manage/posts.js';
import { Types } from './manage/types.js';
import { Webhooks } from './manage/webhooks.js';
import { Health } from './parts/health.js';
import { Deliveries } from './watch/deliveries.js';
import { Engines } from './watch/engines.js';
import { Events } from './watch/events.js';
import { Funnel } from './watch/funnel.js';
import { Log } from './watch/log.js';
import { Outbox } from './watch/outbox.js';
import { Overview } from './watch/overview.js';
import { Send } from './watch/send.js';

// In the order of the menu. A view's `group` is the heading under which it stands.
const VIEWS = {
  overview: Overview, send: Send, events: Events, funnel: Funnel, deliveries: Deliveries, outbox: Outbox,
  people: People, posts: Posts, types: Types, policies: Policies, mail: MailTemplates, webhooks: Webhooks,
  log: Log, engines: Engines, keys: Keys,
};
const FIRST = 'overview';
const KEPT = 'nova-server-key';
const LOST = new Set([401, 403]);
const $ = (id) => document.getElementById(id);

let api = null;
let health = null;
let shown = null;
let timer;
let failing = false; // whether the last look failed, and says so

function tell(said) {
  if (LOST.has(said?.status)) return leave(`${said.message} Sign in again.`);
  const [shownAt, other] = api ? ['told', 'refusal'] : ['refusal', 'told'];
  $(other).replaceChildren();
  return $(shownAt).replaceChildren(said ? make('span', 'told', [said.message ?? said, said.hint].filter(Boolean).join(' ')) : '');
}

// -- the sign-in ----------------------------------------------------------------------------------

function enter() {
  api = new Api(sessionStorage.getItem(KEPT));
  health = new Health(api);
  health.heard.add(mark);
  $('door').hidden = true;
  $('views').hidden = $('menu').hidden = $('leave').hidden = false;
  show();
  look(health);
}

function leave(why) {
  sessionStorage.removeItem(KEPT);
  clearTimeout(timer);
  api = shown = health = null;
  $('view').replaceChildren();
  $('views').hidden = $('menu').hidden = $('leave').hidden = true;
  $('door').hidden = false;
  $('key').focus();
  tell(why);
}

$('door').addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const key = $('key').value.trim();
  try {
    await new Api(key).get('/v1/consumers'); // what only a server key may see
    sessionStorage.setItem(KEPT, key);
    $('key').value = '';
    tell('');
    enter();
  } catch (refused) {
    tell(refused);
  }
});
$('leave').addEventListener('click', () => leave(''));

// -- the menu -------------------------------------------------------------------------------------

function menu() {
  const groups = new Map();
  for (const [name, { title, group = '' }] of Object.entries(VIEWS)) {
    const link = make('a', '', title, make('span', 'mark'));
    link.href = `#${name}`;
    if (!groups.has(group)) groups.set(group, make('ul'));
    groups.get(group).append(make('li', '', link));
  }
  return [...groups].map(([group, list]) => {
    const name = make('p', 'group', group);
    name.setAttribute('aria-hidden', 'true'); // the list has it as its label
    if (group) list.setAttribute('aria-label', group);
    return make('div', '', group && name, list);
  });
}

$('views').append(...menu());

function links() {
  return [...$('views').querySelectorAll('a')];
}

// A view that has more about what is wrong says so in the menu.
function mark() {
  for (const link of links()) {
    const count = health?.count(link.hash.slice(1)) ?? 0;
    const badge = link.querySelector('.mark');
    badge.textContent = count || '';
    badge.title = count ? 'needs attention' : '';
  }
}

function opens(isOpen) {
  $('menu').setAttribute('aria-expanded', String(isOpen));
  $('views').classList.toggle('open', isOpen);
}

$('menu').addEventListener('click', () => opens($('menu').getAttribute('aria-expanded') !== 'true'));
document.addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape' || $('menu').getAttribute('aria-expanded') !== 'true') return;
  opens(false);
  $('menu').focus();
});

// -- the views ------------------------------------------------------------------------------------

// `#deliveries/dead`: a view, and what it is asked for.
function show() {
  const [name, ...rest] = location.hash.slice(1).split('/').map(decoded);
  const shownName = Object.hasOwn(VIEWS, name) ? name : FIRST;
  const View = VIEWS[shownName];
  for (const link of links()) {
    if (link.hash === `#${shownName}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  $('menu').textContent = View.title;
  opens(false);
  document.title = `${View.title} · Nova console`;
  tell('');
  const room = make('section', 'pane');
  room.setAttribute('aria-label', View.title);
  $('view').replaceChildren(room);
  if (shown?.close) shown.close();
  shown = new View(room, api, { tell, asked: rest, health });
  turn(shown);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch { // a lone % that somebody typed
    return text;
  }
}

// Ask again now and then, while somebody looks.
async function turn(view) {
  clearTimeout(timer);
  try {
    if (!document.hidden) await view.refresh();
    if (failing && shown === view) tell('');
    failing = false;
  } catch (refused) {
    failing = true;
    if (shown === view) tell(refused);
  }
  if (shown === view) timer = setTimeout(() => turn(view), view.every_ms ?? 3_000);
}

async function look(one) {
  try {
    if (!document.hidden) await one.refresh();
  } catch (refused) { // the view itself says so
    if (LOST.has(refused.status) && one === health) tell(refused);
  }
  if (one === health) setTimeout(() => look(one), one.every_ms);
}

window.addEventListener('hashchange', () => {
  if (!api) return;
  show();
  $('view').focus({ preventScroll: true });
  scrollTo(0, 0);
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && shown) turn(shown);
});

if (sessionStorage.getItem(KEPT)) enter();
else leave('');
