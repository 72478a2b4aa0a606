"""SQL that reads hashtags of old posts."""

READ = """
select p.id, p.body, p.tags from posts.old_tags o join posts.posts p on p.id = o.post
 order by p.id limit $1 for update of p
"""

CHANGE = "update posts.posts set tags = $2 where id = $1"

FORGET = "delete from posts.old_tags where post = any($1::uuid[])"
