"""Compute hashtags again for posts written before the current rules, in the background."""

from nova.backbone.database import Database
from nova.backbone.maintenance_batches import in_portions
from nova.features.posts import mentions_and_hashtags, store

READ = """
select p.id, p.body, p.tags from posts.old_tags o join posts.posts p on p.id = o.post
 order by p.id limit $1 for update of p
"""

CHANGE = "update posts.posts set tags = $2 where id = $1"

FORGET = "delete from posts.old_tags where post = any($1::uuid[])"


class OldTags:
    """Reads the hashtags of old posts anew, until there are none."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self) -> None:
        await in_portions(self._some)

    async def _some(self, most: int) -> int:
        async with self._db.transaction() as tx:
            rows = await tx.fetch(READ, most)
            for row in rows:
                tags = mentions_and_hashtags.tags(row["body"])
                if tags != row["tags"]:
                    await tx.run(CHANGE, row["id"], tags)
                    await store.tag(tx, row["id"], tags)
            await tx.run(FORGET, [row["id"] for row in rows])
        return len(rows)
