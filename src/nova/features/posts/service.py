"""Posts: published, changed and taken away, each in one transaction with its facts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from nova.backbone.database import Database, Tx
from nova.features.posts import mentions_and_hashtags, rules, store
from nova.features.posts.events import (
    Mentioned,
    PostDeleted,
    PostEdited,
    PostPublished,
)
from nova.features.posts.models import Edit, Media, NewPost, Post, Written
from nova.features.posts.rules import NoSuchPost
from nova.features.posts.views import BACKEND, Views, page
from nova.kernel.clock import Clock
from nova.kernel.errors import NoSuchUser
from nova.kernel.ids import new_id
from nova.ports.database import Dangling
from nova.web.cursors import Cursors
from nova.web.routes import Paged

NEWEST = UUID(int=2**128 - 1)
_encode = msgspec.json.Encoder().encode


class Posts:
    """What authors do, and their posts for whoever may see them.

    A viewer of None is the host app's backend, which sees all and may change all.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        views: Views,
        cursors: Cursors[UUID],
        *,
        publishing: Callable[[Tx, UUID, UUID], Awaitable[None]] | None = None,
        published: Callable[[UUID, UUID], None] = lambda _author, _post: None,
    ) -> None:
        """Both hear of author and post: in the transaction, and just after its commit."""
        self._db = db
        self._clock = clock
        self._views = views
        self._cursors = cursors
        self._publishing = publishing
        self._published = published

    async def publish(self, author: UUID, new: NewPost) -> Post:
        """Publish a post; durable on return."""
        rules.check(new.text, new.media)
        rules.check_media(new.media)
        post = Written(
            id=new_id(),
            author=author,
            visibility=new.visibility,
            body=new.text,
            media=_encode(new.media).decode(),
            tags=mentions_and_hashtags.tags(new.text),
            mentions=await self._views.named(new.text),
            likes=0,
            comments=0,
            created_at=self._clock.now(),
            edited_at=None,
        )
        try:
            async with self._db.transaction() as tx:
                await store.add(tx, post)
                if self._publishing is not None:
                    await self._publishing(tx, author, post.id)
                fact = PostPublished(post=post.id, author=author, visibility=post.visibility.value)
                await tx.emit(fact, *_naming(post, before=()))
                tx.after_commit(lambda: self._published(author, post.id))
        except Dangling:
            raise NoSuchUser from None
        return await self._shown(author, post)

    async def edit(self, viewer: UUID | None, id_: UUID, edit: Edit) -> Post:
        """Change a post of one's own; who is named anew is told."""
        await self._own(viewer, id_)
        named = None if edit.text is UNSET else await self._views.named(edit.text)
        async with self._db.transaction() as tx:
            old = await store.lock(tx, id_)
            if old is None:
                raise NoSuchPost
            new = replace(_edited(old, edit, named), edited_at=self._clock.now())
            await store.change(tx, new)
            fact = PostEdited(post=id_, author=old.author, visibility=new.visibility.value)
            await tx.emit(fact, *_naming(new, before=old.mentions))
        return await self.one(viewer, id_)

    async def delete(self, viewer: UUID | None, id_: UUID) -> None:
        """Take a post of one's own away, with its likes and comments."""
        post = await self._own(viewer, id_)
        async with self._db.transaction() as tx:
            if not await store.delete(tx, id_, post.author):
                raise NoSuchPost
            await tx.emit(PostDeleted(post=id_, author=post.author))

    async def one(self, viewer: UUID | None, id_: UUID) -> Post:
        return await self._shown(viewer, await self._views.post(viewer, id_))

    async def newest(self, *, limit: int, cursor: str | None) -> Paged[Post]:
        """Return a page of all posts, newest first, as the host app's backend sees them."""
        before = self._cursors.open("everybody", cursor) if cursor else NEWEST
        found = await store.newest(self._db, before, limit + 1)
        some = found[:limit]
        more = self._cursors.seal("everybody", some[-1].id) if len(found) > limit else None
        return Paged(await self._views.posts(None, some), more)

    async def of_author(
        self, viewer: UUID | None, author: UUID, *, limit: int, cursor: str | None
    ) -> Paged[Post]:
        """Return a page of an author's posts, newest first: those that the viewer may see."""
        owner = f"{viewer} {author}"
        before = self._cursors.open(owner, cursor) if cursor else NEWEST
        seen = rules.EVERYBODY
        if viewer is not None and viewer != author:
            sight = await self._views.sight(viewer, author)
            if sight.separated:
                raise NoSuchUser
            seen = rules.open_to(sight)

        async def read(place: UUID, most: int) -> list[Written]:
            return await store.of_author(
                self._db, author, viewer or BACKEND, before=place, seen=list(seen), most=most
            )

        async def keep(some: Sequence[Written]) -> list[Written]:
            return list(some)

        found, more = await page(read, keep, before, limit)
        return Paged(
            await self._views.posts(viewer, found),
            None if more is None else self._cursors.seal(owner, more),
        )

    async def of_tag(
        self, viewer: UUID | None, tag: str, *, limit: int, cursor: str | None
    ) -> Paged[Post]:
        """Return a page of the posts with a hashtag, newest first, that the viewer may see."""
        owner = f"{viewer} #{tag}"
        start = self._cursors.open(owner, cursor) if cursor else NEWEST

        async def read(place: UUID, most: int) -> list[Written]:
            return await store.of_tag(self._db, tag, viewer or BACKEND, before=place, most=most)

        async def keep(some: Sequence[Written]) -> list[Written]:
            return await self._views.visible(viewer, some)

        found, more = await page(read, keep, start, limit)
        return Paged(
            await self._views.posts(viewer, found),
            None if more is None else self._cursors.seal(owner, more),
        )

    async def export(self, user: UUID) -> Mapping[str, Any]:
        return await store.everything(self._db, user)

    async def _own(self, viewer: UUID | None, id_: UUID) -> Written:
        post = await self._views.post(viewer, id_)
        if viewer not in (None, post.author):
            raise NoSuchPost("You have no such post.")
        return post

    async def _shown(self, viewer: UUID | None, post: Written) -> Post:
        shown = await self._views.posts(viewer, [post])
        if not shown:
            raise NoSuchPost
        return shown[0]


def _edited(old: Written, edit: Edit, named: list[UUID] | None) -> Written:
    """Return the post as the edit makes it. Raises what rules.check does."""
    media = msgspec.json.decode(old.media, type=list[Media])
    if edit.media is not UNSET:
        media = edit.media
        rules.check_media(media)
    text = old.body if edit.text is UNSET else edit.text
    rules.check(text, media)
    return replace(
        old,
        body=text,
        media=_encode(media).decode(),
        visibility=old.visibility if edit.visibility is UNSET else edit.visibility,
        tags=mentions_and_hashtags.tags(text),
        mentions=old.mentions if named is None else named,
    )


def _naming(post: Written, *, before: Sequence[UUID]) -> list[Mentioned]:
    told = rules.newly_named(post.mentions, before=before, told=(post.author,))
    text = rules.excerpt(post.body)
    return [Mentioned(person=each, by=post.author, post=post.id, excerpt=text) for each in told]
