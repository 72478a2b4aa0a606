"""The shape that a feature hands over: its door returns one of these."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct
from prometheus_client.registry import Collector

from nova.backbone.database import Tx
from nova.backbone.external_projections import KeptIndex
from nova.backbone.projections import Fill, Hear, Keep
from nova.kernel.erased_people import Erased
from nova.kernel.events import Fact, Heard
from nova.kernel.subjects import Stands, Subject, Touched
from nova.ports.channels import Retention
from nova.web.actors import User
from nova.web.files import Mount
from nova.web.probes import Ping
from nova.web.routes import Route

Listener = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[None]]
"""Handles a run of facts of one type, in order, inside the transaction that moves the cursor.

It runs again, with the same facts, if that transaction fails.
"""


class Role(StrEnum):
    """What a process is for. `nova serve` starts one process that has every role."""

    WEB = "web"
    """Answers HTTP requests, and keeps in memory what they are answered from."""
    GATEWAY = "gateway"
    """Holds the sockets of clients."""
    WORKER = "worker"
    """Reads the log, runs jobs, and calls the providers of push and mail."""


class Group(Struct, frozen=True, kw_only=True):
    """A consumer of the log: its cursors move with what its listeners write."""

    name: str
    """For ever: it owns the stored cursors."""
    hears: Mapping[type[Fact], Listener]
    directly: Mapping[type[Fact], Callable[[Any], bool]] = {}
    """Which of the facts that are taken in may be handled in the transaction that appends them."""
    role: Role = Role.WORKER


class Projection(Struct, frozen=True, kw_only=True):
    """Something in the memory of each process of a role, kept in step with the log."""

    name: str
    hears: Sequence[type[Fact]]
    fill: Fill
    hear: Hear
    keep: Keep | None = None
    """Stores it, so that a restart need not fill it."""
    role: Role = Role.WEB


class ExternalIndex(Struct, frozen=True, kw_only=True):
    """Something in another engine, kept in step with the log by one process at a time."""

    name: str
    hears: Sequence[type[Fact]]
    keeper: KeptIndex
    role: Role = Role.WORKER


class Signal(Struct, frozen=True):
    """What every process calls when a transaction that sent the signal has committed."""

    name: str
    call: Callable[[str | None], None]
    """Gets the payload; None: some signals may be missed, so forget everything."""


class Job(Struct, frozen=True):
    """Something done every so often by one process at a time (it holds a lease)."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[object]]
    role: Role = Role.WORKER


class Turn(Struct, frozen=True):
    """Work that each process of a role repeats for ever; a turn waits when there is none."""

    name: str
    run: Callable[[], Awaitable[None]]
    role: Role = Role.WORKER


class ChildProcess(Struct, frozen=True, kw_only=True):
    """A program that runs as long as the process that has the role; it is restarted if it ends."""

    name: str
    command: Sequence[str]
    role: Role = Role.WORKER


class Health(Struct, frozen=True):
    """An engine that a feature uses, and how to ask whether it answers."""

    name: str
    ping: Ping
    needed: bool = False
    """Whether the process is unready without it; otherwise the feature does less."""
    remote: bool = False
    """Whether it is a provider far away, which only operators ask: `/readyz` does not."""


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
    """Everything that a feature brings. The composition root loops over features, and no more."""

    name: str
    routes: Sequence[Route] = ()
    mounts: Sequence[Mount] = ()
    """Files and other apps, served below a path."""
    facts: Sequence[type[Fact]] = ()
    """The facts it emits, which others may hear."""
    groups: Sequence[Group] = ()
    projections: Sequence[Projection] = ()
    indexes: Sequence[ExternalIndex] = ()
    signals: Sequence[Signal] = ()
    unknown_signals: Sequence[Callable[[], None]] = ()
    """Called, again and again, while nobody can know what was signalled."""
    channels: Sequence[Channel] = ()
    rpcs: Sequence[Rpc] = ()
    jobs: Sequence[Job] = ()
    turns: Sequence[Turn] = ()
    children: Sequence[ChildProcess] = ()
    health: Sequence[Health] = ()
    metrics: Sequence[Collector] = ()
    """What is read when the metrics are asked for."""
    close: Sequence[Callable[[], Awaitable[None]]] = ()
    """Called at the end, the last one first."""
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
