"""Delete a person's posts, comments and likes, and mentions of them in texts of others.

Each like, comment and post that goes has its fact, as if the person had taken it back.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from nova.backbone.database import Database, Tx
from nova.features.posts import store, store_erasure
from nova.features.posts import store_responses as responses
from nova.features.posts.events import AuthorForgotten, CommentDeleted, PostDeleted, Unliked
from nova.features.posts.store_feeds import PUSHED
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries

AT_ONCE = 200
"""Likes, or comments, or posts that one transaction takes away, with the locks of as many posts."""
LIKES_AT_ONCE = 5_000
"""Likes of a post that one statement deletes."""


Some = Callable[[Tx, UUID], Awaitable[int]]


class Erasing:
    """Erases people from posts, some rows at a time where there is much of them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._parts: tuple[Some, ...] = (_unlike, _unsay, _unpublish)

    async def lighten(self, user: UUID) -> None:
        """Take most away before the erasure, in short transactions."""
        for part in self._parts:
            while True:
                async with self._db.transaction() as tx:
                    if await part(tx, user) < AT_ONCE:
                        break

    async def erase(self, tx: Tx, user: UUID) -> None:
        """Take away what is left, with the user."""
        await tx.fetch(store.LOCK_AROUND, user)
        for part in self._parts:
            while await part(tx, user) == AT_ONCE:
                pass
        for statement in store.ERASE:
            await tx.run(statement, user)
        await tx.emit(AuthorForgotten(author=user))

    async def unname(self, erased: Erased, _place: str) -> str | None:
        """Take mentions of them out of what others wrote."""
        async with self._db.transaction() as tx:
            changed = await _unname(
                tx, store_erasure.NAMING_POSTS, store_erasure.REWRITE_POST, erased
            )
            changed += await _unname(
                tx, store_erasure.NAMING_COMMENTS, store_erasure.REWRITE_COMMENT, erased
            )
        return "more" if changed else None


async def _unlike(tx: Tx, user: UUID) -> int:
    rows = await tx.fetch(store_erasure.SOME_LIKES, user, AT_ONCE)
    posts = await responses.lock(tx, [row["post"] for row in rows])
    there = await responses.liked(tx, [(row["post"], user) for row in rows])
    await responses.like(tx, (), there, None)
    for post, _ in there:
        await tx.emit(Unliked(post=post, author=posts[post][0], person=user))
    return len(rows)


async def _unsay(tx: Tx, user: UUID) -> int:
    rows = await tx.fetch(store_erasure.SOME_COMMENTS, user, AT_ONCE)
    posts = await responses.lock(tx, [row["post"] for row in rows])
    for row in rows:
        gone = [each["id"] for each in await tx.fetch(store_erasure.REMOVE_COMMENT, row["id"])]
        if gone:
            await tx.run(responses.UNCOUNT_COMMENTS, row["post"], len(gone))
            if row["parent"] is not None:
                await tx.run(responses.UNCOUNT_REPLY, row["parent"])
            author = posts[row["post"]][0]
            replies = tuple(each for each in gone if each != row["id"])
            fact = CommentDeleted(
                post=row["post"], author=author, comment=row["id"], replies=replies
            )
            await tx.emit(fact)
    return len(rows)


async def _unpublish(tx: Tx, user: UUID) -> int:
    ids = [row["id"] for row in await tx.fetch(store_erasure.SOME_POSTS, user, AT_ONCE)]
    if await tx.run(store_erasure.THIN_OUT, ids, LIKES_AT_ONCE) == LIKES_AT_ONCE:
        return AT_ONCE
    if await tx.run(store_erasure.THIN_OUT_COMMENTS, ids, LIKES_AT_ONCE) == LIKES_AT_ONCE:
        return AT_ONCE
    await tx.run(PUSHED, ids)
    for id_ in ids:
        await store.delete(tx, id_, user)
        await tx.emit(PostDeleted(post=id_, author=user))
    return len(ids)


async def _unname(db: Queries, naming: str, rewrite: str, erased: Erased) -> int:
    rows = await db.fetch(naming, erased.ids, AT_ONCE)
    for row in rows:
        left = [each for each in row["mentions"] if each not in erased.ids]
        await db.run(rewrite, row["id"], erased.without(row["body"]), left)
    return len(rows)
