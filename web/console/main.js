// The operators' console: a door, and one view at a time, by the address's fragment.

import { Api } from '../shared/api.js';
import { make } from '../shared/dom.js';
import { Deliveries } from './deliveries.js';
import { Engines } from './engines.js';
import { Events } from './events.js';
import { Funnel } from './funnel.js';
import { Keys } from './keys.js';
import { Log } from './log.js';
import { Outbox } from './outbox.js';
import { Overview } from './overview.js';

const VIEWS = {
  overview: Overview, events: Events, funnel: Funnel, deliveries: Deliveries, outbox: Outbox,
  log: Log, engines: Engines, keys: Keys,
};
const FIRST = 'overview';
const KEPT = 'nova-server-key';
const LOST = new Set([401, 403]);
const $ = (id) => document.getElementById(id);

let api = null;
let shown = null;
let timer;
let failing = false; // whether the last look failed, and says so

function tell(said) {
  if (LOST.has(said?.status)) return leave(`${said.message} Sign in again.`);
  const [shownAt, other] = api ? ['told', 'refusal'] : ['refusal', 'told'];
  $(other).replaceChildren();
  return $(shownAt).replaceChildren(said ? make('span', 'told', said.message ?? said) : '');
}

// -- the door -------------------------------------------------------------------------------------

function enter() {
  api = new Api(sessionStorage.getItem(KEPT));
  $('door').hidden = true;
  $('views').hidden = $('leave').hidden = false;
  show();
}

function leave(why) {
  sessionStorage.removeItem(KEPT);
  clearTimeout(timer);
  api = shown = null;
  $('view').replaceChildren();
  $('views').hidden = $('leave').hidden = true;
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
    tell(refused.message);
  }
});
$('leave').addEventListener('click', () => leave(''));

// -- the views ------------------------------------------------------------------------------------

$('views').append(...Object.entries(VIEWS).map(([name, { title }]) => {
  const link = make('a', '', title);
  link.href = `#${name}`;
  return link;
}));

// `#deliveries/dead`: a view, and what it is asked for.
function show() {
  const [name, ...rest] = location.hash.slice(1).split('/').map(decodeURIComponent);
  const shownName = Object.hasOwn(VIEWS, name) ? name : FIRST;
  const View = VIEWS[shownName];
  for (const link of $('views').children) {
    link.removeAttribute('aria-current');
    if (link.hash !== `#${shownName}`) continue;
    link.setAttribute('aria-current', 'page');
    link.scrollIntoView({ block: 'nearest', inline: 'nearest' }); // a narrow window scrolls them
  }
  document.title = `${View.title} · Nova console`;
  tell('');
  const room = make('section', 'pane');
  room.setAttribute('aria-label', View.title);
  $('view').replaceChildren(room);
  shown = new View(room, api, { tell, asked: rest });
  turn(shown);
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

window.addEventListener('hashchange', () => {
  if (!api) return;
  show();
  $('view').focus({ preventScroll: true });
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && shown) turn(shown);
});

if (sessionStorage.getItem(KEPT)) enter();
else leave('');
