"""What comes of what people do: pure decisions about two bonds, there and back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from nova.features.graph.events import (
    Blocked,
    CloseFriendAdded,
    CloseFriendRemoved,
    FollowApproved,
    FollowCancelled,
    FollowDeclined,
    Followed,
    FollowRequested,
    Muted,
    SuggestionDismissed,
    Unblocked,
    Unfollowed,
    Unmuted,
)
from nova.features.graph.models import Act, Bond, Change, Relation, Tie
from nova.kernel.errors import Conflict, Invalid, NoSuchUser, NotFound
from nova.kernel.events import Fact

NOTHING = Bond()
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""Of times: in every zone, it is within the years that can be read again."""


class NoSuchRequest(NotFound):
    """There is no such follow request; it may have been withdrawn."""

    code = "no_such_request"


class Yourself(Invalid):
    """You cannot do this to yourself."""

    code = "yourself"


class YouBlockThem(Conflict):
    """You have blocked this user."""

    code = "you_block_them"
    hint = "Lift the block first."


class TooLong(Invalid):
    """The end of a mute has to be before the year 10000."""

    code = "mute_too_long"
    hint = "Leave 'until' out to mute somebody for good."


class IsOver(Invalid):
    """The end of the mute is in the past."""

    code = "mute_is_over"
    hint = "Leave 'until' out to mute somebody for good; DELETE ends a mute."


class Outcome(Struct, frozen=True):
    """The two bonds after a change, and what has happened."""

    mine: Bond
    theirs: Bond
    facts: Sequence[Fact] = ()


Deed: TypeAlias = Callable[[Change, Bond, Bond], Outcome]


def outcome(change: Change, mine: Bond, theirs: Bond, *, private: bool) -> Outcome:
    """Return what comes of a change; `private` says whether the other has to be asked.

    Doing what is already done changes nothing. Who is blocked by the other reaches nobody there.
    """
    if change.actor == change.other:
        raise Yourself
    if change.act in REACHING:
        if Tie.BLOCK in mine.ties:  # asked first: nobody is to learn that they are blocked back
            raise YouBlockThem
        if Tie.BLOCK in theirs.ties:
            raise NoSuchUser
    if change.act is Act.FOLLOW and private:
        return _ask(change, mine, theirs)
    return DEEDS[change.act](change, mine, theirs)


def relation(mine: Bond, theirs: Bond) -> Relation:
    return Relation(
        follows=mine.follows,
        followed_by=theirs.follows,
        requested=Tie.REQUEST in mine.ties,
        requested_by=Tie.REQUEST in theirs.ties,
        blocks=Tie.BLOCK in mine.ties,
        mutes=Tie.MUTE in mine.ties,
        muted_until=mine.until,
        close_friend=Tie.CLOSE_FRIEND in mine.ties,
        blocked_by=Tie.BLOCK in theirs.ties,
    )


def says(names: Sequence[str], more: int) -> str:
    """Put a suggestion's reason into words: `followed by Ada, Ben and 3 more`."""
    if not names:
        return "popular"
    if more:
        return f"followed by {', '.join(names)} and {more} more"
    *first, last = names
    return f"followed by {', '.join(first)} and {last}" if first else f"followed by {last}"


def _with(bond: Bond, tie: Tie) -> Bond:
    return replace(bond, ties=bond.ties | {tie})


def _without(bond: Bond, *ties: Tie) -> Bond:
    return replace(bond, ties=bond.ties.difference(ties))


def _there(change: Change) -> dict[str, UUID]:
    return {"follower": change.actor, "followee": change.other}


def _back(change: Change) -> dict[str, UUID]:
    return {"follower": change.other, "followee": change.actor}


def _about(change: Change) -> dict[str, UUID]:
    return {"person": change.actor, "other": change.other}


def _follow(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if mine.follows:
        return Outcome(mine, theirs)
    following = replace(_without(mine, Tie.REQUEST), follows=True)
    return Outcome(following, theirs, [Followed(**_there(change))])


def _ask(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if mine.follows or Tie.REQUEST in mine.ties:
        return Outcome(mine, theirs)
    asked = FollowRequested(**_there(change))
    return Outcome(_with(mine, Tie.REQUEST), theirs, [asked])


def _unfollow(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    left = replace(_without(mine, Tie.REQUEST), follows=False)
    return Outcome(left, theirs, _ended(mine, **_there(change)))


def _remove(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if not theirs.follows:
        return Outcome(mine, theirs)
    facts: list[Fact] = [Unfollowed(**_back(change))]
    if Tie.CLOSE_FRIEND in mine.ties:  # else they would go on seeing what is meant for fewer
        facts.append(CloseFriendRemoved(**_about(change)))
    return Outcome(_without(mine, Tie.CLOSE_FRIEND), replace(theirs, follows=False), facts)


def _approve(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if theirs.follows:
        return Outcome(mine, theirs)
    if Tie.REQUEST not in theirs.ties:
        raise NoSuchRequest
    allowed = replace(_without(theirs, Tie.REQUEST), follows=True)
    return Outcome(mine, allowed, [FollowApproved(**_back(change))])


def _decline(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if Tie.REQUEST not in theirs.ties:
        raise NoSuchRequest
    return Outcome(mine, _without(theirs, Tie.REQUEST), [FollowDeclined(**_back(change))])


def _block(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    if Tie.BLOCK in mine.ties:
        return Outcome(mine, theirs)
    ended = [*_ended(mine, **_there(change)), *_ended(theirs, **_back(change))]
    over = (Tie.REQUEST, Tie.CLOSE_FRIEND)
    return Outcome(
        _with(replace(_without(mine, *over), follows=False), Tie.BLOCK),
        replace(_without(theirs, *over), follows=False),
        [*ended, Blocked(**_about(change))],
    )


def _ended(bond: Bond, follower: UUID, followee: UUID) -> list[Fact]:
    facts: list[Fact] = []
    if bond.follows:
        facts.append(Unfollowed(follower=follower, followee=followee))
    if Tie.REQUEST in bond.ties:
        facts.append(FollowCancelled(follower=follower, followee=followee))
    return facts


def _mute(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    muted = replace(_with(mine, Tie.MUTE), until=change.until)
    facts = [] if muted == mine else [Muted(**_about(change))]
    return Outcome(muted, theirs, facts)


def _unmute(change: Change, mine: Bond, theirs: Bond) -> Outcome:
    facts = [Unmuted(**_about(change))] if Tie.MUTE in mine.ties else []
    return Outcome(replace(_without(mine, Tie.MUTE), until=None), theirs, facts)


def _adds(tie: Tie, fact: Callable[..., Fact]) -> Deed:
    def deed(change: Change, mine: Bond, theirs: Bond) -> Outcome:
        if tie in mine.ties:
            return Outcome(mine, theirs)
        return Outcome(_with(mine, tie), theirs, [fact(**_about(change))])

    return deed


def _ends(tie: Tie, fact: Callable[..., Fact]) -> Deed:
    def deed(change: Change, mine: Bond, theirs: Bond) -> Outcome:
        if tie not in mine.ties:
            return Outcome(mine, theirs)
        return Outcome(_without(mine, tie), theirs, [fact(**_about(change))])

    return deed


REACHING = frozenset({Act.FOLLOW, Act.MUTE, Act.BEFRIEND, Act.APPROVE})
"""Deeds that a block, of either side, stands against."""

DEEDS: Mapping[Act, Deed] = {
    Act.FOLLOW: _follow,
    Act.UNFOLLOW: _unfollow,
    Act.APPROVE: _approve,
    Act.DECLINE: _decline,
    Act.REMOVE: _remove,
    Act.BLOCK: _block,
    Act.UNBLOCK: _ends(Tie.BLOCK, Unblocked),
    Act.MUTE: _mute,
    Act.UNMUTE: _unmute,
    Act.BEFRIEND: _adds(Tie.CLOSE_FRIEND, CloseFriendAdded),
    Act.UNFRIEND: _ends(Tie.CLOSE_FRIEND, CloseFriendRemoved),
    Act.DISMISS: _adds(Tie.DISMISSED, SuggestionDismissed),
}
