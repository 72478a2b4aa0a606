"""The graph index in process: for each person an array of whom they follow."""

from array import array
from collections.abc import Collection, Sequence
from heapq import nlargest
from typing import TypeAlias

from nova.ports.graph import Candidate, Edge

Numbers: TypeAlias = "array[int]"  # it cannot be subscripted at run time before Python 3.12

MOST_FOLLOWED = 200
"""Of whom a person follows, so many are asked for theirs; the newest ones."""
MOST_EACH = 200
"""Of whom each of those follows, so many count."""
MOST_NAMED = 2
POPULAR = 400
"""The most followed people that are known by name, about; kept sorted only when asked for."""


class LocalGraph:
    """Implements ports.graph.GraphIndex; people are small whole numbers.

    An edge takes four bytes, a person who follows anybody about a hundred.
    """

    def __init__(self) -> None:
        self._out: list[Numbers | None] = []
        self._in = array("I")  # how many follow each
        self._popular: set[int] = set()
        self._floor = 0
        self._gone: set[int] = set()
        self.edges = 0

    @property
    def memory(self) -> int:
        """Bytes, without what the allocator keeps for itself."""
        own = sum(each.__sizeof__() for each in self._out if each is not None)
        return own + self._out.__sizeof__() + self._in.__sizeof__()

    async def fill(self, number: int, followees: bytes, followers: int) -> None:
        self._reach(number)
        old = self._out[number]
        if old is not None:
            self.edges -= len(old)
        self._out[number] = new = array("I", followees) if followees else None
        if new is not None:
            self.edges += len(new)
        self._in[number] = followers
        self._note(number, followers)

    async def apply(self, edges: Sequence[Edge]) -> None:
        for edge in edges:
            self._reach(max(edge.follower, edge.followee))
            followed = self._out[edge.follower]
            known = followed is not None and edge.followee in followed
            if edge.follows == known:
                continue
            if followed is None:
                followed = self._out[edge.follower] = array("I")
            if edge.follows:
                followed.append(edge.followee)
            else:
                followed.remove(edge.followee)
            self._count(edge.followee, 1 if edge.follows else -1)

    async def forget(self, number: int) -> None:
        self._reach(number)
        followed = self._out[number]
        for followee in followed or ():
            self._count(followee, -1)
        self._out[number] = None
        self._gone.add(number)
        self._popular.discard(number)

    async def clear(self) -> None:
        self.__init__()  # type: ignore[misc]  # as new

    async def suggest(
        self, number: int, *, hidden: Collection[int], most: int
    ) -> Sequence[Candidate]:
        self._reach(number)
        mine = self._out[number] or array("I")
        left_out = {number, *mine, *hidden, *self._gone}
        scores = self._scores(mine)
        # The difference of key views is far quicker than asking for each of thousands.
        for one in scores.keys() & left_out:
            del scores[one]
        best = nlargest(most, scores, key=scores.__getitem__)
        by = self._named(best, mine)
        found = [
            Candidate(one, scores[one], by[one][:MOST_NAMED], max(0, len(by[one]) - MOST_NAMED))
            for one in best
        ]
        if len(found) < most:
            left_out.update(each.number for each in found)
            found += self._most_followed(left_out, most - len(found))
        return found

    def _scores(self, mine: Numbers) -> dict[int, float]:
        """Share one unit of each followed person among whom that person follows.

        Resource allocation: T. Zhou, L. Lü, Y.-C. Zhang, Predicting missing links via local
        information, Eur. Phys. J. B 71 (2009).
        """
        scores: dict[int, float] = {}
        score = scores.get
        out = self._out
        for friend in mine[-MOST_FOLLOWED:]:
            theirs = out[friend] if friend < len(out) else None
            if theirs:
                share = 1.0 / len(theirs)
                for one in theirs[-MOST_EACH:]:
                    scores[one] = score(one, 0.0) + share
        return scores

    def _named(self, best: Sequence[int], mine: Numbers) -> dict[int, list[int]]:
        """Return who of those followed follows each, whom most people know first."""
        by: dict[int, list[int]] = {each: [] for each in best}
        wanted = set(best)
        for friend in sorted(mine[-MOST_FOLLOWED:], key=self._followers, reverse=True):
            theirs = self._out[friend] if friend < len(self._out) else None
            if theirs:
                for one in wanted.intersection(theirs[-MOST_EACH:]):
                    by[one].append(friend)
        return by

    def _followers(self, number: int) -> int:
        return self._in[number] if number < len(self._in) else 0

    def _most_followed(self, left_out: Collection[int], most: int) -> list[Candidate]:
        known = nlargest(POPULAR, self._popular, key=self._in.__getitem__)
        found = [each for each in known if each not in left_out and self._in[each]][:most]
        return [Candidate(each, 0.0, (), 0) for each in found]

    def _reach(self, number: int) -> None:
        """Make room for people up to this number, and some more."""
        missing = number + 1 - len(self._out)
        if missing > 0:
            missing += len(self._out) // 8
            self._out += [None] * missing
            self._in.frombytes(bytes(self._in.itemsize * missing))

    def _count(self, number: int, by: int) -> None:
        self._reach(number)
        self.edges += by
        # A count that was read while edges changed may be off by those.
        self._in[number] = count = max(0, self._in[number] + by)
        self._note(number, count)

    def _note(self, number: int, followers: int) -> None:
        """Remember who is among the most followed, and trim when there are twice too many."""
        if followers <= self._floor:
            return
        self._popular.add(number)
        if len(self._popular) > 2 * POPULAR:
            best = nlargest(POPULAR, self._popular, key=self._in.__getitem__)
            self._popular = set(best)
            self._floor = self._in[best[-1]]
