"""What is shown of the people whom suggestions name: remembered, and right within a second."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import Struct

from nova.features.graph.lists import Lists
from nova.features.graph.numbers import Numbers
from nova.kernel.recent import Changes, Recent, hear
from nova.web.people import Person


class _Seen(Struct, frozen=True):
    person: Person
    mark: int


class Faces:
    """Turns the numbers of an index into people.

    `forget` is to be called with the signal "user"; None means that some may have been missed.
    """

    def __init__(self, numbers: Numbers, lists: Lists, *, remembered: int = 100_000) -> None:
        self._numbers = numbers
        self._lists = lists
        self._seen: Recent[int, _Seen] = Recent(remembered)
        self._changes: Changes[UUID] = Changes(remembered)

    def forget(self, payload: str | None) -> None:
        """Look at a person (by id) anew."""
        hear(self._changes, payload)

    def forget_number(self, payload: str | None) -> None:
        """Keep nothing of whom a number stood for; None means that some may have been missed."""
        if payload is None:
            self._seen.clear()
        else:
            self._seen.drop(int(payload))

    async def of(self, numbers: Iterable[int]) -> Mapping[int, Person]:
        """Return those who are still there."""
        seen, changed, now = self._seen.get, self._changes.since, self._changes.mark()
        found: dict[int, Person] = {}
        missing = []
        for number in numbers:
            one = seen(number)
            if one is None or (one.mark != now and changed(one.mark, one.person.id)):
                missing.append(number)
            else:
                found[number] = one.person
        if missing:
            found |= await self._look(missing, now)
        return found

    async def _look(self, numbers: list[int], mark: int) -> dict[int, Person]:
        users = await self._numbers.users(numbers)
        people = {one.id: one for one in await self._lists.people(list(users.values()))}
        found = {number: people[user] for number, user in users.items() if user in people}
        for number, person in found.items():
            self._seen.put(number, _Seen(person, mark))
        return found
