"""Compute hashtags again for posts written before the current rules, in the background."""

from nova.backbone.database import Database
from nova.backbone.maintenance_batches import in_portions
from nova.features.posts import mentions_and_hashtags, store, store_hashtag_backfill


class OldTags:
    """Reads the hashtags of old posts anew, until there are none."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self) -> None:
        await in_portions(self._some)

    async def _some(self, most: int) -> int:
        async with self._db.transaction() as tx:
            rows = await tx.fetch(store_hashtag_backfill.READ, most)
            for row in rows:
                tags = mentions_and_hashtags.tags(row["body"])
                if tags != row["tags"]:
                    await tx.run(store_hashtag_backfill.CHANGE, row["id"], tags)
                    await store.tag(tx, row["id"], tags)
            await tx.run(store_hashtag_backfill.FORGET, [row["id"] for row in rows])
        return len(rows)
