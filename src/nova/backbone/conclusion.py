"""The last statement of a transaction, which makes what it publishes."""

from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from nova.ports.channels import Publication
from nova.ports.database import Row


class Conclusion(Struct, frozen=True):
    """Rows and their publications in one round trip; often the whole transaction in one.

    The statement gets seven further parameters: an epoch for new channels, the writer, and what
    moves a consumer's cursors. It takes offsets by `backbone.take_offsets`, and writes that many
    publications to those channels.
    """

    sql: str
    arguments: Sequence[object]
    channels: Collection[str]
    """Where it may publish."""
    published: Callable[[Sequence[Row]], list[Publication]]
    """Returns the publications, of the rows that the statement returns."""
