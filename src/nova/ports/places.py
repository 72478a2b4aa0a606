"""Where in the event log something outside of the database stands."""

from datetime import datetime

from msgspec import Struct


class Place(Struct, frozen=True):
    """Everything of the log up to and including this is in it."""

    log: str
    """Which log: positions of one mean nothing in another, such as that of a restored copy."""
    xact: int
    position: int
    at: datetime
    """When it got there, by the log's clock."""
