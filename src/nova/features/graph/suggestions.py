"""People you may know: the index finds them, the truth says who must not be named."""

from collections.abc import Mapping
from uuid import UUID

from nova.features.graph import rules
from nova.features.graph.lists import Lists
from nova.features.graph.models import Person, Reason, Suggestion
from nova.features.graph.numbers import Numbers
from nova.ports.graph import Candidate, GraphWalks


class Suggester:
    """Suggests people, with reasons."""

    def __init__(self, numbers: Numbers, index: GraphWalks, lists: Lists) -> None:
        self._numbers = numbers
        self._index = index
        self._lists = lists

    async def suggest(self, user: UUID, most: int) -> list[Suggestion]:
        standing = await self._numbers.standing(user)
        found = await self._index.suggest(standing.number, hidden=standing.hidden, most=most)
        if not found:
            return []
        named = {each for one in found for each in one.by}
        users = await self._numbers.users([*named.union(one.number for one in found)])
        people = {one.id: one for one in await self._lists.people(list(users.values()))}
        known = {number: people[each] for number, each in users.items() if each in people}
        return [
            Suggestion(person=known[one.number], score=one.score, reason=_reason(one, known))
            for one in found
            if one.number in known and users[one.number] != user
        ]


def _reason(one: Candidate, known: Mapping[int, Person]) -> Reason:
    named = [known[each] for each in one.by if each in known]
    names = [each.name or each.external_id or "somebody" for each in named]
    return Reason(says=rules.says(names, one.more), followed_by=named, more=one.more)
