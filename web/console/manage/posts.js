// Posts: the newest of everybody, of one author or with a tag; each with its comments, to take away.

import { make, opening, press } from '../../shared/dom.js';
import { moment } from '../../shared/time.js';
import { sure } from '../parts/confirm.js';
import { Picker } from '../parts/picker.js';
import { called, counted } from '../parts/words.js';

const PAGE = 20;
const SEEN_BY = { public: 'for everybody', followers: 'for followers', close_friends: 'for close friends' };

function person({ id, ...more }) {
  return Object.assign(make('a', '', called({ id, ...more })), { href: `#people/${id}` });
}

export class Posts {
  static title = 'Posts';
  static group = 'Data';
  every_ms = 5_000;
  #cursor;
  #key = '';

  constructor(room, api, { tell, asked: [by, id] }) {
    this.api = api;
    this.tell = tell;
    this.author = new Picker(api, { label: 'Author', placeholder: 'Everybody, or an author', onChange: () => this.#anew() });
    if (by === 'by') this.author.value = id;
    this.tag = Object.assign(make('input'), { placeholder: 'Any hashtag', maxLength: 101, autocomplete: 'off' });
    this.tag.setAttribute('aria-label', 'Hashtag');
    const form = make('form', 'row', this.author.root, this.tag, make('button', '', 'Show'));
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      this.#anew();
    });
    this.list = make('ol', 'posts');
    this.list.setAttribute('aria-label', 'Posts, the newest first');
    this.empty = make('p', 'quiet', 'There are none.');
    this.more = press('More', () => this.#more().catch(tell));
    this.empty.hidden = this.more.hidden = true;
    room.append(make('h2', '', 'Posts'), form, this.empty, this.list, this.more);
  }

  #anew() {
    this.refresh().catch((refused) => {
      this.#key = '';
      this.list.replaceChildren();
      this.more.hidden = true;
      this.tell(refused);
    });
  }

  #path() {
    const tag = this.tag.value.trim().replace(/^#/, '');
    if (tag) return `/v1/tags/${encodeURIComponent(tag)}/posts`;
    const author = this.author.value;
    return author ? `/v1/users/${encodeURIComponent(author)}/posts` : '/v1/posts';
  }

  async refresh() {
    const path = this.#path();
    const page = await this.api.get(path, { limit: PAGE });
    if (path !== this.#path()) return;
    this.empty.hidden = page.data.length > 0;
    const key = JSON.stringify([path, page.data]);
    if (key === this.#key) return;
    this.#key = key;
    const open = new Set([...this.list.querySelectorAll('details[open]')].map(({ dataset }) => dataset.post));
    this.list.replaceChildren(...page.data.map((each) => this.#post(each, open.has(each.id))));
    this.#goesOn(page);
  }

  async #more() {
    const page = await this.api.get(this.#path(), { limit: PAGE, cursor: this.#cursor });
    this.list.append(...page.data.map((each) => this.#post(each)));
    this.#goesOn(page);
  }

  #goesOn(page) {
    this.#cursor = page.next_cursor;
    this.more.hidden = !this.#cursor;
  }

  #post(post, isOpen = false) {
    const head = make('p', 'by', person(post.author), make('time', '', ` ${moment(post.created_at)}`),
      post.visibility === 'public' ? '' : make('span', 'chip', SEEN_BY[post.visibility] ?? post.visibility),
      post.edited_at ? make('small', '', 'edited') : '');
    const media = post.media.map(({ type, ref, alt }) => make('li', '', make('span', 'chip', type), ' ', make('code', '', ref), alt ? ` ${alt}` : ''));
    const comments = opening([`${counted(post.likes, 'like')}, ${counted(post.comments, 'comment')}`],
      () => this.#comments(`/v1/posts/${post.id}/comments`), this.tell);
    comments.dataset.post = post.id;
    comments.open = isOpen;
    const remove = sure('Delete', 'Delete this post with its comments?', () => this.#delete(`/v1/posts/${post.id}`));
    return make('li', 'post', head, make('p', 'text', post.text), media.length ? make('ul', 'plain-list', ...media) : '',
      make('div', 'foot', comments, remove));
  }

  async #comments(path, cursor) {
    const page = await this.api.get(path, { limit: PAGE, cursor });
    if (!page.data.length) return [make('p', 'quiet', 'There are no comments.')];
    const list = make('ol', 'comments', ...page.data.map((each) => this.#comment(each)));
    if (!page.next_cursor) return [list];
    const more = press('More comments', async () => more.replaceWith(...await this.#comments(path, page.next_cursor)));
    return [list, more];
  }

  #comment(comment) {
    const item = make('li', '', make('p', 'by', person(comment.author), make('time', '', ` ${moment(comment.created_at)}`)),
      make('p', 'text', comment.text),
      make('div', 'foot',
        comment.replies ? opening([counted(comment.replies, 'reply', 'replies')], () => this.#comments(`/v1/comments/${comment.id}/replies`), this.tell) : '',
        sure('Delete', 'Delete this comment with its replies?', async () => {
          await this.#delete(`/v1/comments/${comment.id}`);
          item.remove();
        })));
    return item;
  }

  async #delete(path) {
    try {
      await this.api.delete(path);
      await this.refresh();
    } catch (refused) {
      this.tell(refused);
    }
  }
}
