// Ada's home feed: it is pulled when she looks, and her socket says when there is more.

import { make } from '../shared/dom.js';

const $ = (id) => document.getElementById(id);

export class Feed {
  constructor(api, id, { acted, tell }) {
    this.api = api;
    this.id = id;
    this.acted = acted;
    this.tell = tell;
    this.cursor = null;
    $('older').addEventListener('click', () => this.older().catch(tell));
    $('ada-posts').addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      const text = new FormData(submitted.target).get('text');
      submitted.target.reset();
      api.post('/v1/posts', { text }).then(() => this.refresh()).catch(tell);
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
    const open = new Set([...document.querySelectorAll('#feed .comments')].map(
      (each) => each.closest('.post').dataset.post,
    ));
    const entries = page.data.map((post) => this.#entry(post));
    $('feed').replaceChildren(...entries);
    for (const entry of entries) {
      if (open.has(entry.dataset.post)) await this.#comments(entry);
    }
    this.#more(page);
  }

  async older() {
    const page = await this.api.get(`/v1/feeds/home?limit=10&cursor=${this.cursor}`);
    $('feed').append(...page.data.map((post) => this.#entry(post)));
    this.#more(page);
  }

  #more(page) {
    this.cursor = page.next_cursor;
    $('older').hidden = !this.cursor;
    $('nothing').hidden = $('feed').childElementCount > 0;
  }

  #entry(post) {
    const entry = make('li', 'post');
    entry.dataset.post = post.id;
    entry.dataset.author = post.author.external_id;
    const like = make('button', '', `♥ ${post.likes}`);
    like.type = 'button';
    like.setAttribute('aria-label', `Like, ${post.likes} so far`);
    like.setAttribute('aria-pressed', String(post.liked));
    like.addEventListener('click', () => this.#like(post, like).catch(this.tell));
    const talk = make('button', 'talk', `Comments ${post.comments}`);
    talk.type = 'button';
    talk.addEventListener('click', () => this.#toggle(entry).catch(this.tell));
    const row = make('div', 'row');
    row.append(like, talk);
    entry.append(make('b', '', post.author.name), make('div', 'title', post.text), row);
    return entry;
  }

  async #like(post, button) {
    const liked = button.getAttribute('aria-pressed') === 'true';
    const start = performance.now();
    const path = `/v1/posts/${post.id}/like`;
    this.acted(`like:${post.id}:${this.id}:${post.author.id}`, start);
    const now = await this.api.call(liked ? 'DELETE' : 'PUT', path);
    button.textContent = `♥ ${now.likes}`;
    button.setAttribute('aria-label', `Like, ${now.likes} so far`);
    button.setAttribute('aria-pressed', String(now.liked));
  }

  async #toggle(entry) {
    const open = entry.querySelector('.comments');
    if (open) open.remove();
    else await this.#comments(entry);
  }

  async #comments(entry) {
    const path = `/v1/posts/${entry.dataset.post}/comments`;
    const page = await this.api.get(`${path}?limit=50`);
    const list = make('ol');
    for (const said of page.data) {
      const line = make('li');
      line.append(make('b', '', `${said.author.name} `), said.text);
      list.append(line);
    }
    const form = make('form', 'row');
    const input = make('input');
    input.required = true;
    input.maxLength = 2000;
    input.setAttribute('aria-label', 'Comment');
    form.append(input, make('button', '', 'Send'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#say(entry, path, input.value).catch(this.tell);
    });
    const box = make('div', 'comments');
    box.append(list, form);
    entry.querySelector('.comments')?.remove();
    entry.append(box);
    entry.querySelector('.talk').textContent = `Comments ${page.data.reduce((sum, each) => sum + 1 + each.replies, 0)}`;
  }

  async #say(entry, path, text) {
    const start = performance.now();
    const said = await this.api.post(path, { text });
    const post = await this.api.get(`/v1/posts/${entry.dataset.post}`);
    this.acted(`comment:${said.id}:${this.id}:${post.author.id}`, start);
    await this.#comments(entry);
  }
}
