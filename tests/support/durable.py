"""Durable channels of a test, without the rest of the backbone."""

from collections.abc import Callable, Sequence

from nova.backbone.channels import DurableChannels
from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.ports.channels import Publication
from nova.ports.database import Pool


def durable_channels(
    pool: Pool, published: Callable[[Sequence[Publication]], None] = lambda _: None
) -> DurableChannels:
    """Return channels that hand what they published to `published`."""
    outbox = PostgresOutbox()
    return DurableChannels(
        Database(pool, outbox, wrote=lambda _: None, published=published), outbox
    )
