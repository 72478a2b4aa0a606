"""The last statement of a transaction, which makes what it publishes."""

from collections.abc import Sequence

from msgspec import Struct


class Conclusion(Struct, frozen=True):
    """Rows and their publications in one round trip; often the whole transaction in one.

    The statement passes seven further parameters on to `backbone.publish` as that one's first,
    and returns what that returns.
    """

    sql: str
    arguments: Sequence[object]
    channels: Sequence[str]
    """Where it may publish."""
