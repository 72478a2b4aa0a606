"""How far something outside of the database has been brought by the event log."""

from datetime import datetime

import msgspec
from msgspec import Struct

from nova.kernel.events import Partition, Position
from nova.ports.event_log import Vector


class Checkpoint(Struct, frozen=True):
    """Everything of the log up to and including this is in it."""

    log: str
    """Which log: positions of one mean nothing in another, such as that of a restored copy."""
    to: Vector
    at: datetime
    """When it got there, by the log's clock."""


def encoded(to: Vector) -> str:
    """Write a vector as JSON, always the same for the same vector."""
    named = {f"{each.topic}/{each.number}": at for each, at in sorted(to.items())}
    return msgspec.json.encode(named).decode()


def decoded(text: str) -> Vector:
    """Read what `encoded` wrote. Raises msgspec.DecodeError."""
    named = msgspec.json.decode(text, type=dict[str, str])
    return {_partition(name): Position(at) for name, at in named.items()}


def _partition(name: str) -> Partition:
    topic, _, number = name.rpartition("/")
    return Partition(topic, int(number))
