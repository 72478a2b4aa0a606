"""Every statement about likes and comments."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from nova.features.posts.models import Fan, Said
from nova.ports.database import Queries, Row

LOCK = """
select id, author, body from posts.posts where id = any($1::uuid[]) order by id for update
"""

LIKED = """
select l.post, l.person from posts.likes l
  join unnest($1::uuid[], $2::uuid[]) as w (post, person) using (post, person)
"""

ADD_LIKES = """
insert into posts.likes (post, person, at)
select post, person, $3 from unnest($1::uuid[], $2::uuid[]) as new (post, person)
"""

REMOVE_LIKES = """
delete from posts.likes l using unnest($1::uuid[], $2::uuid[]) as old (post, person)
 where l.post = old.post and l.person = old.person
"""

COUNT_LIKES = """
update posts.posts p set likes = p.likes + d.delta
  from unnest($1::uuid[], $2::bigint[]) as d (id, delta) where p.id = d.id
"""

LIKES = "select id, likes from posts.posts where id = any($1::uuid[])"

LIKERS = """
select person, at from posts.likes
 where post = $1 and (at, person) < ($2::timestamptz, $3::uuid)
 order by at desc, person desc limit $4
"""

ADD_COMMENT = """
with counted as (
    update posts.posts set comments = comments + 1 where id = $2
), answered as (
    update posts.comments set replies = replies + 1 where id = $3
)
insert into posts.comments (id, post, parent, author, body, mentions, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

COMMENT = "select * from posts.comments where id = $1"

LOCK_COMMENT = "select * from posts.comments where id = $1 for update"

CHANGE_COMMENT = """
update posts.comments set body = $2, mentions = $3, edited_at = $4 where id = $1
"""

COMMENTS = """
select * from posts.comments where post = $1 and parent is null and id > $2 order by id limit $3
"""

REPLIES = "select * from posts.comments where parent = $1 and id > $2 order by id limit $3"

LOCK_ONE = "select author from posts.posts where id = $1 for update"

REMOVE_COMMENT = "delete from posts.comments where id = $1 or parent = $1 returning id"

UNCOUNT_COMMENTS = "update posts.posts set comments = comments - $2 where id = $1"

UNCOUNT_REPLY = "update posts.comments set replies = replies - 1 where id = $1"

Pair = tuple[UUID, UUID]
"""A post and a person."""


async def lock(db: Queries, posts: Collection[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Lock posts until the commit; return author and text of those that exist."""
    rows = await db.fetch(LOCK, list(posts))
    return {row["id"]: (row["author"], row["body"]) for row in rows}


async def liked(db: Queries, pairs: Collection[Pair]) -> set[Pair]:
    rows = await db.fetch(LIKED, *_columns(pairs))
    return {(row["post"], row["person"]) for row in rows}


async def like(
    db: Queries, new: Collection[Pair], old: Collection[Pair], at: datetime | None
) -> None:
    """Add and take away likes, and count them."""
    if new:
        await db.run(ADD_LIKES, *_columns(new), at)
    if old:
        await db.run(REMOVE_LIKES, *_columns(old))
    deltas = Counter(post for post, _ in new)
    deltas.subtract(post for post, _ in old)
    if deltas:
        await db.run(COUNT_LIKES, list(deltas), list(deltas.values()))


async def likes(db: Queries, posts: Collection[UUID]) -> dict[UUID, int]:
    return {row["id"]: row["likes"] for row in await db.fetch(LIKES, list(posts))}


async def likers(db: Queries, post: UUID, place: tuple[datetime, UUID], most: int) -> list[Fan]:
    """Return who likes a post, the newest first."""
    return [Fan(row["person"], row["at"]) for row in await db.fetch(LIKERS, post, *place, most)]


async def add_comment(db: Queries, new: Said) -> None:
    await db.run(
        ADD_COMMENT,
        new.id,
        new.post,
        new.parent,
        new.author,
        new.body,
        new.mentions,
        new.created_at,
    )


async def comment(db: Queries, id_: UUID) -> Said | None:
    row = await db.row(COMMENT, id_)
    return None if row is None else _said(row)


async def lock_comment(db: Queries, id_: UUID) -> Said | None:
    """Lock a comment until the commit; to edit one changes no counts, so its post is not locked."""
    row = await db.row(LOCK_COMMENT, id_)
    return None if row is None else _said(row)


async def change_comment(db: Queries, new: Said) -> None:
    await db.run(CHANGE_COMMENT, new.id, new.body, new.mentions, new.edited_at)


async def comments(db: Queries, post: UUID, after: UUID, most: int) -> list[Said]:
    """Return comments without the replies, the oldest first."""
    return [_said(row) for row in await db.fetch(COMMENTS, post, after, most)]


async def replies(db: Queries, parent: UUID, after: UUID, most: int) -> list[Said]:
    return [_said(row) for row in await db.fetch(REPLIES, parent, after, most)]


async def lock_one(db: Queries, post: UUID) -> bool:
    """Lock a post until the commit; return whether there is one."""
    return await db.value(LOCK_ONE, post) is not None


async def remove_comment(db: Queries, gone: Said) -> list[UUID]:
    """Remove a comment with its replies, and count; the post is locked. Return their ids."""
    removed = [row["id"] for row in await db.fetch(REMOVE_COMMENT, gone.id)]
    if removed:
        await db.run(UNCOUNT_COMMENTS, gone.post, len(removed))
        if gone.parent is not None:
            await db.run(UNCOUNT_REPLY, gone.parent)
    return removed


def _columns(pairs: Collection[Pair]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(pairs)
    return [post for post, _ in ordered], [person for _, person in ordered]


def _said(row: Row) -> Said:
    return Said(
        id=row["id"],
        post=row["post"],
        parent=row["parent"],
        author=row["author"],
        body=row["body"],
        mentions=row["mentions"],
        replies=row["replies"],
        created_at=row["created_at"],
        edited_at=row["edited_at"],
    )
