"""Who follows, blocks and mutes whom: decided together, in one transaction for many at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from msgspec.structs import replace

from nova.backbone.database import Database, Tx
from nova.features.graph import rules, store, store_reads
from nova.features.graph.events import (
    FollowApproved,
    Followed,
    PersonForgotten,
    PrivacyChanged,
    Unfollowed,
)
from nova.features.graph.models import (
    Act,
    Bond,
    Change,
    Connections,
    Node,
    Relation,
)
from nova.features.graph.sights import SIGNAL as FOLLOWEES
from nova.features.graph.sights import Followees
from nova.features.graph.silences import SIGNAL, Silences
from nova.kernel.batching import Batcher
from nova.kernel.clock import Clock
from nova.kernel.errors import NoSuchUser, Refused
from nova.ports.database import Dangling
from nova.web.people import Profile

DROPPED = 2_000
"""Followers that one transaction takes away from somebody who is to be erased."""
FORGOTTEN = "graph.forgotten"
"""The signal that a number is nobody's any more; its payload is the number."""
SILENCING = frozenset({Act.BLOCK, Act.UNBLOCK, Act.MUTE, Act.UNMUTE})


class People(Protocol):
    """Who is who; both look-ups take many at once and remember their answers."""

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those that exist, whichever id of theirs was given."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...


class Graph:
    """Changes what people have with each other, and answers about two of them."""

    def __init__(self, db: Database, clock: Clock, silences: Silences) -> None:
        self._db = db
        self._clock = clock
        self.silences = silences
        self.followees = Followees(db)
        # Full: callers get 503. Two lanes: one transaction is prepared while one commits.
        self._changes: Batcher[Change, Relation] = Batcher(
            self._change, most=200, queue=5_000, lanes=2
        )

    async def change(
        self, act: Act, actor: UUID, other: UUID, until: datetime | None = None
    ) -> Relation:
        """Do something about somebody; durable on return, with what the two are to each other."""
        if until is not None and until > rules.LATEST:
            raise rules.TooLong
        if act is Act.MUTE and until is not None and until <= self._clock.now():
            raise rules.IsOver
        done = await self._changes(Change(act=act, actor=actor, other=other, until=until))
        return seen(done)

    async def relation(self, one: UUID, other: UUID, *, by_server: bool) -> Relation:
        """Return what two are to each other; to who is blocked, the other is not there."""
        nodes = await store.find(self._db, [one, other])
        if one not in nodes or other not in nodes:
            return rules.relation(rules.NOTHING, rules.NOTHING)
        there = (nodes[one].number, nodes[other].number)
        bonds = await store.bonds(self._db, [there, there[::-1]], self._clock.now())
        found = rules.relation(bonds[there], bonds[there[::-1]])
        if found.blocked_by and not found.blocks and not by_server:
            raise NoSuchUser
        return found if by_server else seen(found)

    async def connections(self, user: UUID, viewer: UUID | None = None) -> Connections:
        """Count as the lists do: without those whom a block keeps apart from a viewer."""
        node = (await store.find(self._db, [user])).get(user)
        if node is None:
            return Connections(followers=0, following=0, private=False)
        followers = following = 0
        if viewer is not None:
            followers, following = await store_reads.unseen(self._db, node.number, viewer)
        return Connections(
            followers=node.followers - followers,
            following=node.following - following,
            private=node.private,
        )

    async def set_private(self, user: UUID, *, private: bool) -> Connections:
        """Open or close an account; who waits for an answer goes on waiting."""
        try:
            async with self._db.transaction() as tx:
                node = (await store.lock(tx, [user]))[user]
                if await store.set_private(tx, node.number, private=private):
                    await tx.emit(PrivacyChanged(user=user, private=private))
        except Dangling:
            raise NoSuchUser from None
        return await self.connections(user)

    async def forget_expired(self) -> None:
        """Delete mutes that are over."""
        await store.expire(self._db, self._clock.now())

    async def lighten(self, user: UUID, at_once: int = DROPPED) -> None:
        """Take the followers of somebody who is to be erased away, some at a time."""
        node = (await store.find(self._db, [user])).get(user)
        while node is not None:
            async with self._db.transaction() as tx:
                if await store.lose_followers(tx, node.number, at_once) < at_once:
                    return

    async def erase(self, tx: Tx, user: UUID) -> None:
        """Remove a person with every edge from and to them, and count their neighbours anew."""
        node = (await store.find(tx, [user])).get(user)
        if node is not None:
            await store.erase(tx, node.number)
            tx.signal(FORGOTTEN, str(node.number))
            await tx.emit(PersonForgotten(number=node.number))

    async def export(self, user: UUID) -> Mapping[str, Any]:
        """Return all that a person has with others."""
        node = (await store.find(self._db, [user])).get(user)
        if node is None:
            return {}
        return {"private": node.private} | await store_reads.everything(self._db, node.number)

    async def _change(self, changes: list[Change]) -> Sequence[Relation | Exception]:
        """Make changes that came together; who is no user any more spoils only their own."""
        try:
            return await self._commit(changes)
        except Dangling:
            if len(changes) == 1:
                return [NoSuchUser()]
            return [(await self._change([each]))[0] for each in changes]

    async def _commit(self, changes: Sequence[Change]) -> list[Relation | Exception]:
        at = self._clock.now()
        async with self._db.transaction() as tx:
            users = {user for each in changes for user in (each.actor, each.other)}
            nodes = await store.lock(tx, users)
            pairs = {pair for each in changes for pair in _both(nodes, each)}
            old = await store.bonds(tx, list(pairs), at)
            new = dict(old)
            answers = [await self._decide(tx, each, nodes, new) for each in changes]
            await store.write(tx, old, new, at)
        return answers

    async def _decide(
        self, tx: Tx, change: Change, nodes: Mapping[UUID, Node], bonds: dict[store.Pair, Bond]
    ) -> Relation | Exception:
        """Decide about one change, and note what it makes of the bonds."""
        there, back = _both(nodes, change)
        try:
            made = rules.outcome(
                change, bonds[there], bonds[back], private=nodes[change.other].private
            )
        except Refused as refused:
            return refused
        bonds[there], bonds[back] = made.mine, made.theirs
        await tx.emit(*made.facts)
        if made.facts and change.act in SILENCING:
            for person in (change.actor, change.other):  # a block hides each from the other
                self._tell_of_silences(tx, str(person))
        for fact in made.facts:
            if isinstance(fact, Followed | FollowApproved | Unfollowed):
                self._tell_of_followees(tx, str(fact.follower))
        return rules.relation(made.mine, made.theirs)

    def _tell_of_silences(self, tx: Tx, person: str) -> None:
        tx.signal(SIGNAL, person)
        tx.after_commit(lambda: self.silences.forget(person))

    def _tell_of_followees(self, tx: Tx, follower: str) -> None:
        tx.signal(FOLLOWEES, follower)
        tx.after_commit(lambda: self.followees.forget(follower))


def seen(relation: Relation) -> Relation:
    """Return the relation as a person may see it: never that the other blocks them."""
    return replace(relation, blocked_by=False)


def _both(nodes: Mapping[UUID, Node], change: Change) -> tuple[store.Pair, store.Pair]:
    one, other = nodes[change.actor].number, nodes[change.other].number
    return (one, other), (other, one)
