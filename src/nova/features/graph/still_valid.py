"""Check that a follow or follow request still exists, and that no block separates two people."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from nova.feature import Subjects
from nova.features.graph import store_still_valid
from nova.features.graph.events import (
    Blocked,
    CloseFriendRemoved,
    FollowCancelled,
    FollowDeclined,
    PrivacyChanged,
    Unfollowed,
)
from nova.kernel.subjects import Stands, Subject, Touched
from nova.ports.database import Queries

FOLLOW, REQUEST, APPROVAL = "follow", "follow_request", "follow_approved"


Pair = tuple[UUID, UUID]


def subjects(db: Queries) -> Sequence[Subjects]:
    """Return the answers about follows, and about any two people whom a block may separate."""

    async def apart(asked: Sequence[Subject]) -> Mapping[Subject, Stands]:
        pairs = {(each.recipient, each.actor) for each in asked}
        rows = await db.fetch(store_still_valid.SEPARATED, *_columns(pairs))
        separated = {(row["one"], row["other"]) for row in rows}
        return {
            each: Stands(each.actor, each.item)
            for each in asked
            if (each.recipient, each.actor) not in separated
        }

    async def following(asked: Sequence[Subject]) -> Mapping[Subject, Stands]:
        rows = await db.fetch(
            store_still_valid.FOLLOWING, *_columns({_pair(each) for each in asked})
        )
        follows = {(row["follower"], row["followee"]) for row in rows if row["follows"]}
        asks = {(row["follower"], row["followee"]) for row in rows if row["asks"]}
        return {
            each: Stands(each.actor, each.item)
            for each in asked
            if _pair(each) in follows or (each.kind == REQUEST and _pair(each) in asks)
        }

    return (
        Subjects(kinds=(), standing=apart, changed_by={Blocked: _both}),
        Subjects(
            kinds=(FOLLOW, REQUEST, APPROVAL),
            standing=following,
            changed_by={
                Unfollowed: _both,
                FollowCancelled: _both,
                FollowDeclined: _both,
                CloseFriendRemoved: _both,
                PrivacyChanged: _closed,
            },
        ),
    )


def _pair(subject: Subject) -> Pair:
    """Return who follows whom. That a request was answered is told to the one who follows."""
    if subject.kind == APPROVAL:
        return subject.recipient, subject.actor
    return subject.actor, subject.recipient


def _both(
    fact: Blocked | Unfollowed | FollowCancelled | FollowDeclined | CloseFriendRemoved,
) -> Sequence[Touched]:
    """Whoever of the two was told of the other: also what may no longer be seen of them."""
    one, other = fact.pair
    return [Touched(recipient=one, actor=other), Touched(recipient=other, actor=one)]


def _closed(fact: PrivacyChanged) -> Sequence[Touched]:
    """What is told of a private account's posts is for those that it lets follow."""
    return [Touched(owner=fact.user)] if fact.private else []


def _columns(pairs: Collection[Pair]) -> tuple[list[UUID], list[UUID]]:
    return [one for one, _ in pairs], [other for _, other in pairs]
