"""Every statement about posts themselves."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Raw, Struct

from nova.features.posts.models import Visibility, Written
from nova.kernel.subjects import Subject
from nova.ports.database import Queries, Row

ADD = """
with counted as (
    insert into posts.authors as a (author, newest) values ($2, $1)
        on conflict (author) do update set newest = greatest(a.newest, excluded.newest)
)
insert into posts.posts (id, author, visibility, body, media, tags, mentions, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""

# $2 is who looks; the id that nobody has stands for the backend.
MANY = """
select p.*, l.person is not null as liked from posts.posts p
  left join posts.likes l on l.post = p.id and l.person = $2
 where p.id = any($1::uuid[])
"""

NEWEST = """
select p.*, false as liked from posts.posts p where p.id < $1 order by p.id desc limit $2
"""

OF_AUTHOR = """
select p.*, l.person is not null as liked from posts.posts p
  left join posts.likes l on l.post = p.id and l.person = $2
 where p.author = $1 and p.id < $3 and p.visibility = any($4::text[])
 order by p.id desc limit $5
"""

OF_TAG = """
select p.*, l.person is not null as liked from posts.tagged t
  join posts.posts p on p.id = t.post
  left join posts.likes l on l.post = p.id and l.person = $2
 where t.tag = $1 and t.post < $3 order by t.post desc limit $4
"""

TAG = """
insert into posts.tagged (tag, post) select unnest($2::text[]), $1 on conflict do nothing
"""

UNTAG = "delete from posts.tagged where post = $1 and tag <> all($2::text[])"

# Of each post, what people ($2) did who are hidden from whoever looks; replies to what one of them
# said are not found by that viewer either.
HIDDEN_OF_POSTS = """
with said as (
    select id, post from posts.comments where post = any($1::uuid[]) and author = any($2::uuid[])
), gone as (
    select id, post from said
     union
    select r.id, r.post from posts.comments r join said on r.parent = said.id
)
select post as id, count(*) filter (where is_like) as likes,
       count(*) filter (where not is_like) as comments
  from (select post, true as is_like from posts.likes
         where post = any($1::uuid[]) and person = any($2::uuid[])
         union all
        select post, false from gone) deeds
 group by post
"""

HIDDEN_OF_COMMENTS = """
select parent as id, 0 as likes, count(*) as comments from posts.comments
 where parent = any($1::uuid[]) and author = any($2::uuid[]) group by parent
"""

LOCK = "select p.*, false as liked from posts.posts p where id = $1 for update"

CHANGE = """
update posts.posts
   set visibility = $2, body = $3, media = $4, tags = $5, mentions = $6, edited_at = $7
 where id = $1
"""

DELETE = "delete from posts.posts where id = $1 and author = $2"

# Of (kind, item, actor, recipient): those that still hold, whose post it is about, and what the
# post or comment says (a little more than an excerpt shows).
STANDING = """
select w.place, p.id, p.author, p.visibility, left(coalesce(c.body, p.body), 2000) as body
  from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[]) with ordinality
    as w (kind, item, actor, recipient, place)
  left join posts.comments c on c.id = w.item
  join posts.posts p on p.id = coalesce(c.post, w.item)
 where case w.kind
       when 'like' then exists (
            select from posts.likes l where l.post = w.item and l.person = w.actor)
       when 'comment' then c.id is not null
       else w.recipient = any(case when c.id is null then p.mentions else c.mentions end)
       end
"""

# Every post that an erasure changes the counts of, locked before it does. Each part of a union is
# found by an index; joined with `or`, all posts would be read.
LOCK_AROUND = """
select id from posts.posts where id in (
    select id from posts.posts where author = $1
     union select post from posts.likes where person = $1
     union select post from posts.comments where author = $1)
 order by id for update
"""

ERASE = (
    "delete from posts.authors where author = $1",
    "delete from posts.homes where owner = $1",
)

EXPORTS = {
    "posts": """
select id, visibility, body as text, media, created_at, edited_at from posts.posts
 where author = $1 order by id
""",
    "comments": """
select id, post, parent, body as text, created_at, edited_at from posts.comments
 where author = $1 order by id
""",
    "likes": "select post, at from posts.likes where person = $1 order by at",
}


class Holds(Struct, frozen=True):
    """What a like, comment or mention that still holds is about."""

    post: UUID
    author: UUID
    """Whose post it is."""
    visibility: Visibility
    text: str
    """Of the post, or of the comment."""


async def add(db: Queries, new: Written) -> None:
    await db.run(
        ADD,
        new.id,
        new.author,
        new.visibility.value,
        new.body,
        new.media,
        new.tags,
        new.mentions,
        new.created_at,
    )
    if new.tags:
        await db.run(TAG, new.id, new.tags)


async def many(db: Queries, ids: Sequence[UUID], viewer: UUID) -> dict[UUID, Written]:
    """Return those that exist, with whether the viewer likes them."""
    return {row["id"]: written(row) for row in await db.fetch(MANY, ids, viewer)}


async def hidden(
    db: Queries, statement: str, ids: Sequence[UUID], people: Sequence[UUID]
) -> dict[UUID, tuple[int, int]]:
    """Return by post or comment how many likes and comments of these people it has, if any."""
    rows = await db.fetch(statement, ids, people)
    return {row["id"]: (row["likes"], row["comments"]) for row in rows}


async def newest(db: Queries, before: UUID, most: int) -> list[Written]:
    """Return the newest posts of everybody before one."""
    return [written(row) for row in await db.fetch(NEWEST, before, most)]


async def of_author(
    db: Queries,
    author: UUID,
    viewer: UUID,
    *,
    before: UUID,
    seen: Sequence[Visibility],
    most: int,
) -> list[Written]:
    rows = await db.fetch(OF_AUTHOR, author, viewer, before, [each.value for each in seen], most)
    return [written(row) for row in rows]


async def of_tag(db: Queries, tag: str, viewer: UUID, *, before: UUID, most: int) -> list[Written]:
    return [written(row) for row in await db.fetch(OF_TAG, tag, viewer, before, most)]


async def lock(db: Queries, post: UUID) -> Written | None:
    row = await db.row(LOCK, post)
    return None if row is None else written(row)


async def change(db: Queries, new: Written) -> None:
    await db.run(
        CHANGE,
        new.id,
        new.visibility.value,
        new.body,
        new.media,
        new.tags,
        new.mentions,
        new.edited_at,
    )
    await tag(db, new.id, new.tags)


async def tag(db: Queries, post: UUID, tags: Sequence[str]) -> None:
    """Have a post stand on the pages of these hashtags, and on no others."""
    await db.run(UNTAG, post, tags)
    if tags:
        await db.run(TAG, post, tags)


async def delete(db: Queries, post: UUID, author: UUID) -> bool:
    return await db.run(DELETE, post, author) > 0


async def standing(db: Queries, asked: Sequence[Subject]) -> dict[int, Holds]:
    """Return by place in `asked` what it is about, while it holds."""
    rows = await db.fetch(STANDING, *(list(column) for column in zip(*asked, strict=True)))
    return {
        row["place"] - 1: Holds(
            row["id"], row["author"], Visibility(row["visibility"]), row["body"]
        )
        for row in rows
    }


async def everything(db: Queries, user: UUID) -> dict[str, list[dict[str, object]]]:
    """Return all that a person has published, said and liked."""
    found: dict[str, list[dict[str, object]]] = {
        kind: [dict(row) for row in await db.fetch(statement, user)]
        for kind, statement in EXPORTS.items()
    }
    for each in found["posts"]:
        each["media"] = Raw(str(each["media"]).encode())
    return found


def written(row: Row) -> Written:
    return Written(
        id=row["id"],
        author=row["author"],
        visibility=Visibility(row["visibility"]),
        body=row["body"],
        media=row["media"],
        tags=row["tags"],
        mentions=row["mentions"],
        likes=row["likes"],
        comments=row["comments"],
        created_at=row["created_at"],
        edited_at=row["edited_at"],
        liked=row["liked"],
    )
