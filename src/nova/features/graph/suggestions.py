"""People you may know: the index finds them, the truth says who must not be named."""

from collections.abc import Sequence
from uuid import UUID

from nova.features.graph import reads, rules, store
from nova.features.graph.lists import Lists
from nova.features.graph.models import Person, Reason, Suggestion
from nova.ports.database import Queries
from nova.ports.graph import Candidate, GraphWalks

NOBODY = 0
"""Stands for a person who has nothing to do with anybody yet."""


class Suggester:
    """Suggests people, with reasons."""

    def __init__(self, db: Queries, index: GraphWalks, lists: Lists) -> None:
        self._db = db
        self._index = index
        self._lists = lists

    async def suggest(self, user: UUID, most: int) -> list[Suggestion]:
        node = (await store.find(self._db, [user])).get(user)
        number = NOBODY if node is None else node.number
        hidden = await reads.hidden(self._db, number)
        found = await self._index.suggest(number, hidden=hidden, most=most)
        if not found:
            return []
        numbers = {each for one in found for each in (one.number, *one.by)}
        users = await reads.users(self._db, list(numbers))
        people = {one.id: one for one in await self._lists.people(list(users.values()))}
        known = {number: people[user] for number, user in users.items() if user in people}
        return [
            Suggestion(person=known[one.number], score=one.score, reason=_reason(one, known))
            for one in found
            if one.number in known and users[one.number] != user
        ]


def _reason(one: Candidate, known: dict[int, Person]) -> Reason:
    named: Sequence[Person] = [known[each] for each in one.by if each in known]
    names = [each.name or each.external_id or "somebody" for each in named]
    return Reason(says=rules.says(names, one.more), followed_by=list(named), more=one.more)
