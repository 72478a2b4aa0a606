"""Facts: what happened, in the past tense; and how the log hands them back."""

from datetime import datetime
from typing import ClassVar, Generic, NamedTuple, NewType, TypeVar
from uuid import UUID

from msgspec import Struct


class Fact(Struct, frozen=True, kw_only=True):
    """Something that happened. Subclasses are named by a past participle.

    `topic` is the stream it belongs to. Facts with the same `key` are read in
    the order in which they were committed; there is no order between keys.
    """

    topic: ClassVar[str]

    @property
    def key(self) -> str:
        """What the fact is about, usually a user's id."""
        raise NotImplementedError


F_co = TypeVar("F_co", bound=Fact, covariant=True)


Position = NewType("Position", str)
"""Where a reader stands in a partition of a log. Only the log that made it can read it."""
BEGINNING = Position("")
"""Before the first record, in every log."""


class Partition(NamedTuple):
    """A part of a topic: records of one key are in one partition, in order."""

    topic: str
    number: int


class Record(Struct, frozen=True, gc=False):
    """One record of the event log, undecoded."""

    position: Position
    topic: str
    key: str
    partition: int
    id: UUID
    type: str
    payload: bytes
    trace: str | None
    at: datetime
    attempt: int = 1


class Heard(Struct, Generic[F_co], frozen=True):
    """A fact as its listener gets it."""

    fact: F_co
    id: UUID
    """The log's id of the fact: stable across retries, so it can serve as a dedupe key."""
    at: datetime
    """When it was written to the log."""
    trace: str | None
    """The W3C traceparent of the request that caused it."""
    attempt: int
    """1 at first, counting up with each retry."""
