"""SQL that removes erased people from posts."""

SOME_LIKES = "select post from posts.likes where person = $1 limit $2"

SOME_COMMENTS = """
select id, post, parent from posts.comments where author = $1 order by id limit $2
"""

SOME_POSTS = "select id from posts.posts where author = $1 order by id limit $2"

THIN_OUT = """
delete from posts.likes where (post, person) in (
    select post, person from posts.likes where post = any($1::uuid[]) limit $2)
"""

THIN_OUT_COMMENTS = """
delete from posts.comments where id in (
    select id from posts.comments where post = any($1::uuid[]) and parent is not null limit $2)
"""

# With the replies; a reply that stays uncounted is none: its parent is gone.
REMOVE_COMMENT = "delete from posts.comments where id = $1 or parent = $1 returning id"

# Posts and comments of others that name them; $1: people.
NAMING_POSTS = """
select id, body, mentions from posts.posts
 where mentions && $1::uuid[] and mentions <> '{}' limit $2 for update
"""

NAMING_COMMENTS = """
select id, body, mentions from posts.comments
 where mentions && $1::uuid[] and mentions <> '{}' limit $2 for update
"""

REWRITE_POST = "update posts.posts set body = $2, mentions = $3 where id = $1"

REWRITE_COMMENT = "update posts.comments set body = $2, mentions = $3 where id = $1"
