// Two panes: Ada acts through her app's backend, Ben listens on a socket.

import { Api } from '../shared/api.js';
import { make } from '../shared/dom.js';
import { waterfall } from '../shared/story.js';
import { languages } from './call.js';
import { Feed } from './feed.js';
import { Inbox } from './inbox.js';
import { Outside } from './outside.js';
import { People } from './people.js';

const $ = (id) => document.getElementById(id);
const clicked = new Map(); // event id → when Ada clicked
const missed = new Set(); // events of the time without a socket
let dropped = false;

const { people } = await new Api().get('/demo/session');
const ben = new Api(people.ben.token);
const inbox = new Inbox($('inbox'), $('empty'), {
  trace: (id) => ben.get(`/v1/notifications/${id}/trace`),
});

// -- Ada's backend --------------------------------------------------------------------------------

let event = null;
let language = 'curl';

const showCall = () => {
  if (event) $('code').textContent = languages[language](event);
};

async function act(kind) {
  const start = performance.now();
  const said = await new Api().post('/demo/acts', { act: kind });
  event = said.event;
  clicked.set(event.id, start);
  if (dropped) missed.add(event.id);
  arrivedEarly.get(event.id)?.();
  $('undo').disabled = false;
  showCall();
  if (!$('likes').checked && kind === 'like') explain(event.id);
}

$('acts').addEventListener('click', ({ target }) => {
  if (target.dataset.act) act(target.dataset.act).catch(tell);
});

// As after an unlike: it leaves the bell, the phone, open digests and whatever waits.
$('undo').addEventListener('click', () => {
  $('undo').disabled = true;
  new Api().delete(`/demo/events/${event.id}`).then(() => outside.soon()).catch(tell);
});

for (const tab of document.querySelectorAll('[data-tab]')) {
  tab.addEventListener('click', () => {
    language = tab.dataset.tab;
    for (const each of document.querySelectorAll('[data-tab]')) {
      each.setAttribute('aria-selected', String(each === tab));
    }
    showCall();
  });
}

// What Ada does herself, in her feed and with people, rings under an id that Nova gives it.
const acted = (id, start) => {
  clicked.set(id, start);
  if (dropped) missed.add(id);
  arrivedEarly.get(id)?.();
};
const ada = new Api(people.ada.token);
const feed = new Feed(ada, people.ada.id, { acted, tell });
const others = new People(ada, people.ada.id, { acted, tell, changed: () => feed.refresh() });

for (const tab of document.querySelectorAll('[data-view]')) {
  tab.addEventListener('click', () => {
    for (const each of document.querySelectorAll('[data-view]')) {
      const shown = each === tab;
      each.setAttribute('aria-selected', String(shown));
      $(each.getAttribute('aria-controls')).hidden = !shown;
    }
    if (tab.dataset.view === 'feed') feed.refresh().catch(tell);
    if (tab.dataset.view === 'people') others.refresh().catch(tell);
  });
}

$('ben-posts').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const text = new FormData(submitted.target).get('text');
  submitted.target.reset();
  ben.post('/v1/posts', { text }).catch(tell);
});

// -- Ben's device ---------------------------------------------------------------------------------

const arrivedEarly = new Map(); // rang before the backend's answer was back: badge it then

function counts({ unseen, unread }) {
  $('unseen').textContent = unseen;
  $('bell').classList.toggle('unseen', unseen > 0);
  $('counts').textContent = `${unseen} unseen, ${unread} unread`;
}

function rang(notification) {
  const now = performance.now();
  const show = () => {
    const start = clicked.get(notification.event_id);
    const recovered = missed.has(notification.event_id);
    inbox.add(
      notification,
      recovered ? 'recovered' : start && `${(now - start).toFixed(1)} ms`,
      recovered,
    );
    arrivedEarly.delete(notification.event_id);
  };
  if (clicked.has(notification.event_id)) show();
  else {
    arrivedEarly.set(notification.event_id, show);
    setTimeout(show, 500); // it was not this page that acted
  }
  outside.soon();
  $('bell').classList.remove('rings');
  requestAnimationFrame(() => $('bell').classList.add('rings'));
}

const outside = new Outside(ben, { follow: () => inbox.follow(), tell });

const endpoint = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`;
const socket = new Centrifuge(endpoint, { token: people.ben.token });
socket.on('state', ({ newState }) => {
  $('state').textContent = newState;
  $('state').className = `state ${newState}`;
});
socket.on('publication', ({ data }) => {
  counts(data);
  if (data.type === 'notification') rang(data.notification);
  if (data.type === 'updated') inbox.update(data.notification);
  if (data.type === 'removed') inbox.remove(data.ids);
  if (data.type === 'marks' && data.unread === 0) inbox.readAll();
});

$('drop').addEventListener('click', () => {
  dropped = !dropped;
  $('drop').textContent = dropped ? 'Connect again' : 'Drop the socket';
  if (dropped) socket.disconnect();
  else socket.connect();
});
$('read').addEventListener('click', () => {
  ben.post('/v1/notifications/marks', { mark: 'read', all: true }).catch(tell);
});
$('likes').addEventListener('change', () => {
  const choice = $('likes').checked ? null : false;
  ben.patch('/v1/preferences', { types: { like: { in_app: choice } } }).catch(tell);
});

// -- why nothing rang -----------------------------------------------------------------------------

function tell(said) {
  $('why').replaceChildren(make('p', 'told', said.message ?? said));
}

async function explain(id) {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const trace = await new Api().get(`/demo/events/${id}/trace`);
    if (trace.outcome !== 'pending') {
      tell(`${trace.outcome}: ${trace.says}`);
      return $('why').append(waterfall(trace));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

const page = await ben.get('/v1/notifications?limit=20');
for (const notification of page.data.reverse()) inbox.add(notification);
counts(await ben.get('/v1/notifications/counts'));
socket.connect();
outside.start();
feed.listen(new Centrifuge(endpoint, { token: people.ada.token }));
