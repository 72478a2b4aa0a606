"""The shape that a feature hands over: its door returns one of these."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Tx
from nova.kernel.erased_people import Erased
from nova.kernel.events import Fact, Heard
from nova.kernel.subjects import Stands, Subject, Touched
from nova.ports.channels import Retention
from nova.web.actors import User
from nova.web.routes import Route

Listener = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[None]]
"""Handles a run of facts of one type, in order, inside the transaction that moves the cursor.

It runs again, with the same facts, if that transaction fails.
"""


class Job(Struct, frozen=True):
    """Something done every so often by one process at a time (it holds a lease)."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[object]]


class Turn(Struct, frozen=True):
    """Work that every process does for ever, a turn at a time; a turn waits when there is none."""

    name: str
    run: Callable[[], Awaitable[None]]


class Channel(Struct, frozen=True, kw_only=True):
    """A family of socket channels, `<name>:<anything>`, that a feature owns."""

    name: str
    may_subscribe: Callable[[User, str], Awaitable[bool]]
    """Whether this user may see the channel (given whole, with its name)."""
    retention: Retention | None
    """How much is kept for clients that were away; None: nothing, there are no offsets."""
    at_connect: Callable[[User], Sequence[str]] | None = None
    """Channels that a user is subscribed to by the server when connecting."""
    presence: bool = False
    of_users: bool = False
    """Whether `<name>:<id of a user>` is that user's own, who may then call it `<name>:me`."""


class Rpc(Struct, frozen=True, kw_only=True):
    """A method of the socket's `rpc` command; durable before it answers."""

    method: str
    params: Any
    returns: Any
    handler: Callable[[User, Any], Awaitable[Any]]
    summary: str
    cost: int = 1
    """What a call takes from its user's budget (nova.web.limits.Budgets)."""


class Subjects(Struct, frozen=True, kw_only=True):
    """How a feature answers for what notifications stand on, and which facts change that."""

    kinds: Collection[str]
    """Of subjects that it answers for. Empty: it answers about people, as actors: of every subject
    who did it, and whose thing it belongs to."""
    standing: Callable[[Sequence[Subject]], Awaitable[Mapping[Subject, Stands]]]
    """Returns those that stand, for the recipient's eyes, too; asks the database each time."""
    changed_by: Mapping[type[Fact], Callable[[Any], Sequence[Touched]]]
    """By fact, which subjects may have ceased to stand, or say something else."""


Scrub = Callable[[Erased, str], Awaitable[str | None]]
"""Removes what is left of erased people from some rows, those after a place (at first "").

Returns the place to go on from, or None at the end. Its transactions are short, and it may be run
again from any place it returned.
"""


class Feature(Struct, frozen=True, kw_only=True):
    """Everything a feature brings to the house."""

    name: str
    routes: Sequence[Route] = ()
    hears: Mapping[type[Fact], Listener] = {}
    directly: Mapping[type[Fact], Callable[[Any], bool]] = {}
    """Which of the facts that are taken in may be handled in the transaction that appends them."""
    facts: Sequence[type[Fact]] = ()
    """The facts it emits: its shop window."""
    channels: Sequence[Channel] = ()
    rpcs: Sequence[Rpc] = ()
    jobs: Sequence[Job] = ()
    turns: Sequence[Turn] = ()
    schema: Path | None = None
    """Folder of its numbered migrations; its tables live in the schema of its own name."""
    lighten: Callable[[UUID], Awaitable[None]] | None = None
    """Removes most of what is about a user, bit by bit, before `erase` does so with the rest: one
    transaction about a million others would hold all of them up."""
    erase: Callable[[Tx, UUID], Awaitable[None]] | None = None
    """Removes everything it holds about a user, in the transaction that deletes the user."""
    scrubs: Sequence[Scrub] = ()
    """Remove, after an erasure, what others' rows hold of the person: as whoever did what they
    were told of, and as a name in texts. They run in this order, in the background."""
    export: Callable[[UUID], Awaitable[Any]] | None = None
    """Returns everything it holds about a user, for the user's own copy."""
