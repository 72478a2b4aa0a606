// Ada's home feed: it is fetched when she looks, and her socket says when there is more.

import { busy, make } from '../shared/dom.js';
import { sending } from '../shared/forms.js';

const $ = (id) => document.getElementById(id);

export class Feed {
  #shown = new Map(); // post's id → its entry: kept, with what is typed there, while others come

  constructor(api, id, { press, during, acted, undone, tell }) {
    this.api = api;
    this.press = press;
    this.during = during;
    this.id = id;
    this.acted = acted;
    this.undone = undone;
    this.tell = tell;
    this.cursor = null;
    $('older').addEventListener('click', () => busy($('older'), () => this.older()).catch(tell));
    sending($('ada-posts'), {
      send: async (text) => {
        await api.post('/v1/posts', { text });
        await this.refresh();
      },
      sent: 'Posted. It is in Ada’s feed, and in her followers’.',
    });
  }

  listen(socket) {
    const channel = socket.newSubscription(`feed:${this.id}`);
    channel.on('publication', () => this.refresh().catch(this.tell));
    // What was posted while nobody listened is in the feed all the same.
    channel.on('subscribed', () => this.refresh().catch(this.tell));
    channel.subscribe();
    socket.connect();
  }

  async refresh() {
    const page = await this.api.get('/v1/feeds/home?limit=10');
    const known = new Set(page.data.map((post) => post.id));
    for (const [id, entry] of this.#shown) {
      if (!known.has(id)) entry.node.remove();
      if (!known.has(id)) this.#shown.delete(id);
    }
    page.data.forEach((post, place) => {
      const { node } = this.#entry(post);
      // Only what is elsewhere is moved: a field that moves loses its focus.
      if ($('feed').children[place] !== node) $('feed').insertBefore(node, $('feed').children[place] ?? null);
    });
    this.#more(page);
  }

  async older() {
    const page = await this.api.get(`/v1/feeds/home?limit=10&cursor=${this.cursor}`);
    $('feed').append(...page.data.map((post) => this.#entry(post).node));
    this.#more(page);
  }

  #more(page) {
    this.cursor = page.next_cursor;
    $('older').hidden = !this.cursor;
    $('nothing').hidden = $('feed').childElementCount > 0;
  }

  #entry(post) {
    if (!this.#shown.has(post.id)) this.#shown.set(post.id, new Entry(post, this));
    const entry = this.#shown.get(post.id);
    entry.update(post);
    return entry;
  }
}

// One post: its text, whether Ada likes it, and its comments once they are opened.
class Entry {
  constructor(post, feed) {
    this.feed = feed;
    this.path = `/v1/posts/${post.id}`;
    this.node = make('li', 'post');
    this.node.dataset.post = post.id;
    this.node.dataset.author = post.author.external_id;
    this.like = this.#button(() => this.#like());
    this.talk = this.#button(() => this.#toggle());
    this.talk.setAttribute('aria-expanded', 'false');
    this.text = make('div', 'title');
    this.node.append(make('b', '', post.author.name), this.text, make('div', 'row', this.like, this.talk));
  }

  update(post) {
    this.post = post;
    this.text.textContent = post.text;
    this.like.textContent = `♥ ${post.likes}`;
    this.like.setAttribute('aria-label', `Like, ${post.likes} so far`);
    this.like.setAttribute('aria-pressed', String(post.liked));
    this.talk.textContent = `Comments ${post.comments}`;
  }

  #button(call) {
    const button = make('button');
    button.type = 'button';
    button.addEventListener('click', () => this.feed.press(button, call).catch(this.feed.tell));
    return button;
  }

  async #like() {
    const { id, author, liked } = this.post;
    const start = performance.now();
    const now = await this.feed.api.call(liked ? 'DELETE' : 'PUT', `${this.path}/like`);
    this.update({ ...this.post, ...now });
    const event = `like:${id}:${this.feed.id}:${author.id}`;
    if (liked) this.feed.undone(event, `Ada took back her like of ${author.name}’s post.`);
    else this.feed.acted(event, start, `Ada liked ${author.name}’s post.`, { to: author });
  }

  async #toggle() {
    const isOpen = Boolean(this.box);
    this.talk.setAttribute('aria-expanded', String(!isOpen));
    if (!isOpen) return this.#open();
    this.box.remove();
    this.box = null;
    return undefined;
  }

  async #open() {
    const field = make('input');
    field.maxLength = 2_000;
    field.dir = 'auto';
    field.setAttribute('aria-label', 'Comment');
    field.placeholder = 'Write a comment as Ada';
    const form = make('form', 'row', field, make('button', '', 'Send'));
    this.list = make('ol');
    this.box = make('div', 'comments', this.list, form);
    sending(form, { send: (text) => this.feed.during(() => this.#say(text)), sent: 'Sent.' });
    this.node.append(this.box);
    await this.#comments();
  }

  async #comments() {
    const page = await this.feed.api.get(`${this.path}/comments?limit=50`);
    this.list.replaceChildren(...page.data.map((said) => make('li', '', make('b', '', `${said.author.name} `), said.text)));
    this.talk.textContent = `Comments ${page.data.reduce((sum, each) => sum + 1 + each.replies, 0)}`;
  }

  async #say(text) {
    const { author } = this.post;
    const start = performance.now();
    const said = await this.feed.api.post(`${this.path}/comments`, { text });
    this.feed.acted(`comment:${said.id}:${this.feed.id}:${author.id}`, start, `Ada commented on ${author.name}’s post.`, { to: author });
    await this.#comments();
  }
}
