"""People you may know: the index finds them, the truth says who must not be named."""

from collections.abc import Mapping
from uuid import UUID

from nova.features.graph import rules
from nova.features.graph.faces import Faces
from nova.features.graph.models import Reason, Suggestion
from nova.features.graph.numbers import Numbers
from nova.ports.graph import Candidate, GraphWalks
from nova.web.people import Person


class Suggester:
    """Suggests people, with reasons."""

    def __init__(self, numbers: Numbers, index: GraphWalks, faces: Faces) -> None:
        self.numbers = numbers
        self._index = index
        self.faces = faces

    async def suggest(self, user: UUID, most: int) -> list[Suggestion]:
        standing = await self.numbers.standing(user)
        found = await self._index.suggest(standing.number, hidden=standing.hidden, most=most)
        named = {one.number for one in found}.union(*[one.by for one in found])
        people = await self.faces.of(named)
        return [
            Suggestion(person=person, score=one.score, reason=_reason(one, people))
            for one in found
            if (person := people.get(one.number)) is not None and person.id != user
        ]


def _reason(one: Candidate, people: Mapping[int, Person]) -> Reason:
    by = [people[each] for each in one.by if each in people]
    names = [each.name or each.external_id or "somebody" for each in by]
    return Reason(says=rules.says(names, one.more), followed_by=by, more=one.more)
