"""Comments and replies, one level deep."""

from collections.abc import Collection, Sequence
from uuid import UUID

from msgspec.structs import replace

from nova.backbone.database import Database
from nova.features.posts import rules
from nova.features.posts import store_responses as store
from nova.features.posts.events import CommentDeleted, Commented, CommentEdited, Mentioned
from nova.features.posts.models import Comment, CommentEdit, NewComment, Said, Written
from nova.features.posts.rules import NoSuchComment, NoSuchPost
from nova.features.posts.views import NOBODY, People, Views, page
from nova.kernel.clock import Clock
from nova.kernel.errors import NoSuchUser
from nova.kernel.ids import new_id
from nova.ports.database import Dangling
from nova.web.cursors import Cursors
from nova.web.routes import Paged

OLDEST = UUID(int=0)


class Comments:
    """What people say about posts. A viewer of None is the host app's backend."""

    def __init__(
        self, db: Database, clock: Clock, people: People, views: Views, cursors: Cursors[UUID]
    ) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._views = views
        self._cursors = cursors

    async def add(self, person: UUID, post: UUID, new: NewComment) -> Comment:
        """Comment on a post, or reply to a comment on it; durable on return."""
        about = await self._views.post(person, post)
        answered = None
        if new.reply_to is not None:
            answered, _ = await self._comment(person, new.reply_to)
            if answered.post != post:
                raise NoSuchComment
        said = Said(
            id=new_id(),
            post=post,
            parent=None if answered is None else answered.parent or answered.id,
            author=person,
            body=new.text,
            mentions=await self._views.named(new.text),
            replies=0,
            created_at=self._clock.now(),
        )
        await self._add(about, said, None if answered is None else answered.author)
        return await self._shown(person, said, about)

    async def _add(self, about: Written, said: Said, replies_to: UUID | None) -> None:
        fact = Commented(
            post=about.id,
            author=about.author,
            comment=said.id,
            person=said.author,
            replies_to=replies_to,
            excerpt=rules.excerpt(said.body),
        )
        told = {said.author, about.author, replies_to or said.author}
        try:
            async with self._db.transaction() as tx:
                if not await self._people.hold(tx, [said.author]):
                    raise NoSuchUser
                if not await store.lock_one(tx, about.id):
                    raise NoSuchPost
                await store.add_comment(tx, said)
                await tx.emit(fact, *_naming(said, before=(), told=told))
        except Dangling:  # what it answers went a moment ago
            raise NoSuchComment from None

    async def edit(self, viewer: UUID | None, id_: UUID, edit: CommentEdit) -> Comment:
        """Change what a comment of one's own says; who is named anew is told."""
        said, about = await self._comment(viewer, id_)
        if viewer not in (None, said.author):
            raise NoSuchComment("You have no such comment.")
        named = await self._views.named(edit.text)
        async with self._db.transaction() as tx:
            old = await store.lock_comment(tx, id_)
            if old is None:
                raise NoSuchComment
            new = replace(old, body=edit.text, mentions=named, edited_at=self._clock.now())
            await store.change_comment(tx, new)
            fact = CommentEdited(post=about.id, author=about.author, comment=id_, person=old.author)
            await tx.emit(fact, *_naming(new, before=old.mentions, told=(old.author,)))
        return await self.one(viewer, id_)

    async def delete(self, viewer: UUID | None, id_: UUID) -> None:
        """Take a comment away with its replies: one's own, or one on a post of one's own.

        Blocks do not matter for either: whoever answers for a post takes away what anybody said
        there, and one's own goes from a post, too, that is not for the person any more. The answer
        is the same then as about a comment that is not there.
        """
        found = await store.comment(self._db, id_)
        try:
            said, post = await self._comment(viewer, id_)
        except NoSuchComment:
            if found is not None and found.author == viewer:
                await self._remove(*await self._comment(None, id_))
            raise
        if viewer not in (None, said.author, post.author):
            raise NoSuchComment("You have no such comment.")
        await self._remove(said, post)

    async def _remove(self, said: Said, post: Written) -> None:
        async with self._db.transaction() as tx:
            there = await store.lock_one(tx, post.id)
            gone = await store.remove_comment(tx, said) if there else []
            if not gone:
                raise NoSuchComment
            replies = tuple(each for each in gone if each != said.id)
            fact = CommentDeleted(
                post=post.id, author=post.author, comment=said.id, replies=replies
            )
            await tx.emit(fact)

    async def one(self, viewer: UUID | None, id_: UUID) -> Comment:
        return await self._shown(viewer, *await self._comment(viewer, id_))

    async def of_post(
        self, viewer: UUID | None, post: UUID, *, limit: int, cursor: str | None
    ) -> Paged[Comment]:
        """Return a page of the comments on a post, the oldest first."""
        about = await self._views.post(viewer, post)
        return await self._list(viewer, about, None, limit, cursor)

    async def replies(
        self, viewer: UUID | None, comment: UUID, *, limit: int, cursor: str | None
    ) -> Paged[Comment]:
        """Return a page of the replies to a comment, the oldest first."""
        _, about = await self._comment(viewer, comment)
        return await self._list(viewer, about, comment, limit, cursor)

    async def _list(
        self,
        viewer: UUID | None,
        about: Written,
        parent: UUID | None,
        limit: int,
        cursor: str | None,
    ) -> Paged[Comment]:
        owner = f"{viewer} {about.id} {parent}"
        on_own = about.author == viewer
        start = self._cursors.open(owner, cursor) if cursor else OLDEST

        async def read(place: UUID, most: int) -> list[Said]:
            if parent is None:
                return await store.comments(self._db, about.id, place, most)
            return await store.replies(self._db, parent, place, most)

        async def keep(some: Sequence[Said]) -> list[Said]:
            return await self._views.in_lists(viewer, some, on_own=on_own)

        found, more = await page(read, keep, start, limit)
        return Paged(
            await self._views.comments(viewer, found, on_own=on_own),
            None if more is None else self._cursors.seal(owner, more),
        )

    async def _comment(self, viewer: UUID | None, id_: UUID) -> tuple[Said, Written]:
        """Return a comment that the viewer may see, and its post.

        Neither is hidden from the viewer; on a post of one's own no comment is. Everything is asked
        where there is no comment, too: the time does not tell a hidden one from none.
        """
        said = await store.comment(self._db, id_)
        try:
            about = await self._views.post(viewer, NOBODY if said is None else said.post)
        except NoSuchPost:
            about = None
        is_hidden = False
        if viewer is not None and (said is None or viewer != said.author):
            author = NOBODY if said is None else said.author
            is_hidden = (await self._views.sight(viewer, author)).separated
        if said is None or about is None or (is_hidden and viewer != about.author):
            raise NoSuchComment
        if not await self._views.people(viewer, [said.author]):
            raise NoSuchComment
        return said, about

    async def _shown(self, viewer: UUID | None, said: Said, about: Written) -> Comment:
        shown = await self._views.comments(viewer, [said], on_own=about.author == viewer)
        if not shown:
            raise NoSuchComment
        return shown[0]


def _naming(said: Said, *, before: Collection[UUID], told: Collection[UUID]) -> list[Mentioned]:
    text = rules.excerpt(said.body)
    return [
        Mentioned(person=each, by=said.author, post=said.post, comment=said.id, excerpt=text)
        for each in rules.newly_named(said.mentions, before=before, told=told)
    ]
