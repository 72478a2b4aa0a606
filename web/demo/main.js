// Two people on one page: Ada acts through her app, and Ben hears of it on a socket.

import { Api, inWords } from '../shared/api.js';
import { busy } from '../shared/dom.js';
import { sending } from '../shared/forms.js';
import { tabs } from '../shared/tabs.js';
import { Acts } from './acts.js';
import { Arrivals } from './arrivals.js';
import { ShownCall } from './call.js';
import { Connection, socketOf } from './connection.js';
import { Feed } from './feed.js';
import { Guide } from './guide.js';
import { Inbox } from './inbox.js';
import { Latest } from './latest.js';
import { Outside } from './outside.js';
import { People } from './people.js';
import { Places } from './places.js';

const $ = (id) => document.getElementById(id);
const READY_MS = 5_000; // the longest that the panes wait for Ben's socket

const { people } = await new Api().get('/demo/session');
const [ada, ben] = [new Api(people.ada.token), new Api(people.ben.token)];
const tell = (error) => { $('problem').textContent = inWords(error); };

const guide = new Guide();
const places = new Places($('places'), $('panes'));
const latest = new Latest({
  trace: (id) => new Api().get(`/demo/events/${encodeURIComponent(id)}/trace`),
  opened: () => guide.did('why'),
});
const inbox = new Inbox($('inbox'), $('empty'), { trace: (id) => ben.get(`/v1/notifications/${id}/trace`) });
const arrivals = new Arrivals(inbox, latest);

// -- Ada ------------------------------------------------------------------------------------------

function acted(id, start, says, { to = people.ben, again } = {}) {
  const isMissed = connection.isDropped && to.id === people.ben.id;
  arrivals.clicked(id, start, isMissed);
  latest.happened(id, says, { to: to.name, again, isMissed });
  outside.soon();
}

function undone(id, says) {
  latest.happened(id, says, { again: '' });
  outside.soon();
}

const during = (call) => arrivals.during(call);
const press = (button, call) => busy(button, () => during(call));
const shown = new ShownCall();
const did = (step) => guide.did(step);
const acts = new Acts(ada, people, {
  press, acted, undone, did, called: (call) => shown.set(call), changed: () => feed.refresh(),
});
const feed = new Feed(ada, people.ada.id, { press, during, acted, undone, tell });
const others = new People(ada, people.ada.id, {
  press, acted, undone, tell, changed: () => Promise.all([feed.refresh(), acts.refresh()]),
});
tabs(document.querySelector('.views'), ({ dataset: { view } }) => {
  if (view === 'feed') feed.refresh().catch(tell);
  if (view === 'people') others.refresh().catch(tell);
});
$('call').addEventListener('toggle', () => $('call').open && did('call'));

// -- Ben ------------------------------------------------------------------------------------------

function counts({ unseen, unread }) {
  $('unseen').textContent = unseen;
  $('bell').classList.toggle('unseen', unseen > 0);
  $('counts').textContent = `${unseen} unseen, ${unread} unread`;
  places.count('bell', unseen);
}

let heardSoFar = 0;

function heard(data) {
  heardSoFar += 1;
  counts(data);
  if (data.type === 'notification') {
    arrivals.heard(data.notification);
    $('bell').classList.remove('rings');
    requestAnimationFrame(() => $('bell').classList.add('rings'));
  }
  if (data.type === 'updated') inbox.update(data.notification);
  if (data.type === 'removed') inbox.remove(data.ids);
  if (data.type === 'marks' && data.unread === 0) inbox.readAll();
  // Another tab may have followed, or no longer.
  if (data.type === 'removed' || data.notification?.type === 'follow') acts.refresh().catch(tell);
  outside.soon();
}

// At the start, and after a loss of the connection that the socket could not make good.
async function fetched() {
  const before = heardSoFar;
  const page = await ben.get('/v1/notifications?limit=20');
  inbox.merge(page.data.reverse());
  const now = await ben.get('/v1/notifications/counts');
  if (before === heardSoFar) counts(now); // what was heard meanwhile has newer ones
}

// What this page shows and others may have changed.
async function refreshed() {
  const { types } = await ben.get('/v1/preferences');
  $('likes').checked = types.like?.in_app !== false;
  await Promise.all([acts.refresh(), outside.refresh()]);
}

const connection = new Connection(people, {
  heard,
  anew: () => fetched().catch(tell),
  back: () => refreshed().catch(tell),
  tried: () => did('drop'),
});
const outside = new Outside(ben, {
  follow: () => inbox.follow(),
  looked: (error) => connection.answered(error),
  came: (place, number) => places.came(place, number),
  did, tell,
});

$('read').addEventListener('click', () => {
  ben.post('/v1/notifications/marks', { mark: 'read', all: true }).catch(tell);
});
$('likes').addEventListener('change', async () => {
  const choice = $('likes').checked ? null : false;
  try {
    await ben.patch('/v1/preferences', { types: { like: { in_app: choice } } });
  } catch (error) {
    $('likes').checked = !$('likes').checked;
    tell(error);
  }
});
sending($('ben-posts'), {
  send: (text) => ben.post('/v1/posts', { text }),
  sent: 'Posted. Ada sees it in her feed if she follows Ben.',
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refreshed().catch((error) => connection.answered(error));
});

await outside.start().catch(tell);
connection.socket.connect();
// The panes take clicks from now on: every listener is set, and Ben's socket hears what they cause.
await connection.socket.ready(READY_MS).catch(() => {});
$('panes').inert = false;
await refreshed();
feed.listen(socketOf(people, 'ada'));
