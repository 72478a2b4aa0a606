"""Check that the actor of a notification exists and is not suspended."""

from collections.abc import Mapping, Sequence

from nova.feature import Subjects
from nova.features.accounts import store_still_valid
from nova.features.accounts.events import UserDeleted, UserSuspended
from nova.kernel.subjects import Stands, Subject, Touched
from nova.ports.database import Queries


def subjects(db: Queries) -> Subjects:
    """Return the answer about the actor of every notification."""

    async def standing(asked: Sequence[Subject]) -> Mapping[Subject, Stands]:
        rows = await db.fetch(store_still_valid.THERE, list({each.actor for each in asked}))
        there = {row["id"] for row in rows}
        return {each: Stands(each.actor, each.item) for each in asked if each.actor in there}

    return Subjects(
        kinds=(),
        standing=standing,
        changed_by={UserSuspended: _left, UserDeleted: _left},
    )


def _left(fact: UserSuspended | UserDeleted) -> Sequence[Touched]:
    return [Touched(actor=fact.user), Touched(owner=fact.user)]
