"""The graph index in process: whom each person follows, and who follows them."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from nova.adapters.local.graph_size import MB
from nova.adapters.local.rows import EVERYTHING, Budget, Cells, Counts, Full, Rows, Side
from nova.adapters.local.walks import UNSEEN, Numbers, joined, step, top
from nova.ports.graph import Candidate, Edge, GraphFull

MOST_FOLLOWED = 500
"""Of whom a person follows, so many are asked for theirs; the newest ones."""
MOST_EACH = 500
"""Of whom each of those follows, so many count; the newest ones."""
MOST_NAMED = 2
POPULAR = 400
"""The most followed people that are known by name."""
OUTDATED = 1_000
"""They are looked up again when one in so many follows has changed."""
PENDING = 50_000
"""Follows that are filled in together; whoever asks before gets them filled in at once."""
FORGOTTEN = 1_000
"""Followers of somebody who is forgotten, after whom others get a turn."""

FORBIDDEN = -2


class LocalGraph:
    """Implements ports.graph.GraphIndex; people are small whole numbers.

    A follow takes eight bytes and some to spare, a person about fifty. Full: all of it is let go,
    since half a graph would answer wrongly, and whoever asks is refused with GraphFull, until
    it is made anew.
    """

    def __init__(self, most: int = 2**40) -> None:
        """Takes `most` bytes, and never more."""
        self.most = most
        self.is_full = False
        self._begin()

    def _begin(self) -> None:
        self._budget = Budget(self.most)
        self._out = Rows(self._budget)
        self._into = Rows(self._budget)
        self._edges = 0
        self._pending: dict[int, bytes] = {}
        self._waiting = 0
        self._score: NDArray[np.float64] = np.zeros(0)
        self._mark: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._ahead: NDArray[np.int32] = np.full(0, UNSEEN, np.int32)
        self._back: NDArray[np.int32] = np.full(0, UNSEEN, np.int32)
        self._popular: Cells = np.empty(0, np.uint32)
        self._changes: float = 0

    @property
    def edges(self) -> int:
        self._absorb_quietly()
        return self._edges

    @property
    def memory(self) -> int:
        """Bytes, without what the allocator keeps for itself."""
        self._absorb_quietly()
        own = (self._score, self._mark, self._ahead, self._back)
        return self._out.memory + self._into.memory + sum(each.nbytes for each in own)

    async def fill(self, number: int, followees: bytes, followers: int) -> None:  # noqa: ARG002
        # How many follow the person comes of filling in everybody, and needs not be told.
        with self._within():
            if number in self._pending:
                self._absorb()
            self._pending[number] = followees
            self._waiting += len(followees) // 4
            if self._waiting > PENDING:
                self._absorb()

    async def apply(self, edges: Sequence[Edge]) -> None:
        with self._within():
            self._absorb()
            for edge in edges:
                self._reach(max(edge.follower, edge.followee) + 1)
                if edge.follows:
                    self._follow(edge.follower, edge.followee)
                else:
                    self._unfollow(edge.follower, edge.followee)

    async def forget(self, number: int) -> None:
        with self._within():
            self._absorb()
            for followee in self._out.of(number).tolist():
                self._unfollow(number, followee)
            followers = self._into.of(number).astype(np.int64)
            self._into.empty(number)
            for first in range(0, len(followers), FORGOTTEN):
                gone = self._out.remove_from(followers[first : first + FORGOTTEN], number)
                self._edges -= gone
                self._changes += gone
                await asyncio.sleep(0)

    async def clear(self) -> None:
        self._begin()

    async def ping(self) -> str:
        """Return how much there is. Raises GraphFull."""
        taken = self.memory
        if self.is_full:
            raise _full(self.most)
        return f"{self._edges:,} follows, {taken / MB:.1f} of {self.most / MB:.0f} MB"

    def sides(self) -> tuple[Rows, Rows]:
        """Return whom each person follows, and who follows each, to be read only."""
        with self._within():
            self._absorb()
            return self._out, self._into

    def load(self, out: Side, into: Side) -> None:
        """Take over what was kept, in place of all there was."""
        with self._within():
            self._begin()
            self._out.load(out)
            self._into.load(into)
            self._edges = len(out[1])
            self._changes = EVERYTHING
            self._reach(max(self._out.people, self._into.people))

    async def suggest(
        self, number: int, *, hidden: Collection[int], most: int
    ) -> Sequence[Candidate]:
        self._ready(number + 1)
        mine = self._out.of(number)
        asked = mine[-MOST_FOLLOWED:]
        found, counts = self._out.newest(asked, MOST_EACH)
        left_out = np.fromiter(
            (each for each in (number, *hidden) if each < len(self._score)), np.int64
        )
        best, scores = self._best(found, counts, asked, (mine, left_out), most)
        candidates = self._reasoned(best, scores, found, (asked, counts))
        if len(candidates) < most:
            known = {*mine.tolist(), *left_out.tolist(), *best.tolist()}
            candidates += self._most_followed(known, most - len(candidates))
        return candidates

    async def mutuals(self, number: int, *, most: int) -> Sequence[int]:
        self._ready()
        return self._both(self._out.of(number), self._into.of(number), most)

    async def common(self, one: int, other: int, *, most: int) -> Sequence[int]:
        self._ready()
        return self._both(self._out.of(one), self._out.of(other), most)

    async def path(
        self, start: int, end: int, *, around: Collection[int], hops: int
    ) -> Sequence[int] | None:
        self._ready(max(start, end) + 1)
        touched: list[Numbers] = [np.array([start, end]), np.array([*around], np.int64)]
        touched[1] = touched[1][touched[1] < len(self._ahead)]
        for seen in (self._ahead, self._back):
            seen[touched[1]] = FORBIDDEN
        try:
            return self._search(start, end, hops, touched)
        finally:
            for some in touched:
                self._ahead[some] = UNSEEN
                self._back[some] = UNSEEN

    # -- walking ------------------------------------------------------------------------------

    def _best(
        self,
        found: Cells,
        counts: Counts,
        asked: Cells,
        left_out: Iterable[Numbers],
        most: int,
    ) -> tuple[Cells, NDArray[np.float64]]:
        """Share one unit of each person asked among whom that person follows; return the best.

        Resource allocation: T. Zhou, L. Lü, Y.-C. Zhang, Predicting missing links via local
        information, Eur. Phys. J. B 71 (2009).
        """
        score = self._score
        shares = 1.0 / np.maximum(self._out.count[asked], 1)
        np.add.at(score, found, np.repeat(shares, counts))
        for each in left_out:
            score[each] = 0.0
        scores = score[found]
        best = top(found, scores, most)
        by_score = score[best]
        score[found] = 0.0
        return best, by_score

    def _reasoned(
        self,
        best: Cells,
        scores: NDArray[np.float64],
        found: Cells,
        asked: tuple[Cells, Counts],
    ) -> list[Candidate]:
        """Say who of those asked follows each, whom most people follow first."""
        if not len(best):
            return []
        self._mark[best] = True
        here = self._mark[found].nonzero()[0]
        self._mark[best] = False
        friends, counts = asked
        through = friends[counts.cumsum().searchsorted(here, "right")]
        order = (-self._into.count[through]).argsort(kind="stable")
        by: dict[int, list[int]] = {number: [] for number in best.tolist()}
        for one, friend in zip(found[here[order]].tolist(), through[order].tolist(), strict=True):
            by[one].append(friend)
        return [
            Candidate(number, score, known[:MOST_NAMED], max(0, len(known) - MOST_NAMED))
            for (number, known), score in zip(by.items(), scores.tolist(), strict=True)
        ]

    def _most_followed(self, known: Collection[int], most: int) -> list[Candidate]:
        if self._changes * OUTDATED >= self._edges:
            self._changes = 0
            followers = self._into.count
            some = (
                np.argpartition(followers, -POPULAR)[-POPULAR:] if self._many else _all(followers)
            )
            some = some[np.lexsort((some, -followers[some]))]
            self._popular = some[followers[some] > 0].astype(np.uint32)
        chosen = [each for each in self._popular.tolist() if each not in known][:most]
        return [Candidate(each, 0.0, (), 0) for each in chosen]

    @property
    def _many(self) -> bool:
        return self._into.people > POPULAR

    def _both(self, one: Cells, other: Cells, most: int) -> Sequence[int]:
        """Return who is in both lists, in the order of the first one from its end."""
        mark = self._mark
        mark[other] = True
        both = one[mark[one]]
        mark[other] = False
        found: list[int] = both[::-1][:most].tolist()
        return found

    def _search(
        self, start: int, end: int, hops: int, touched: list[Numbers]
    ) -> Sequence[int] | None:
        """Go on, a step at a time, from whichever end leads to fewer; stop where they meet."""
        ahead, back = self._ahead, self._back
        ahead[start], back[end] = start, end
        if start == end:
            return [start]
        front, rear = touched[0][:1], touched[0][1:]
        for _ in range(hops):
            forth = self._out.count[front].sum() <= self._into.count[rear].sum()
            mine, theirs = (ahead, back) if forth else (back, ahead)
            rows = self._out if forth else self._into
            found = step(rows, front if forth else rear, mine)
            touched.append(found)
            met = found[theirs[found] >= 0]
            if len(met):
                return joined(ahead, back, int(met[0]))
            if not len(found):
                return None
            front, rear = (found, rear) if forth else (front, found)
        return None

    # -- the bound ----------------------------------------------------------------------------

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Do something that may need more memory. Raises GraphFull, with all of it let go."""
        if self.is_full:
            raise _full(self.most)
        try:
            yield
        except Full:
            self.is_full = True
            self._begin()
            raise _full(self.most) from None

    def _ready(self, people: int = 0) -> None:
        """Be ready to walk among so many people. Raises GraphFull."""
        if self.is_full or self._pending or people > len(self._score):
            with self._within():
                self._absorb()
                self._reach(people)

    def _absorb_quietly(self) -> None:
        with suppress(GraphFull), self._within():
            self._absorb()

    # -- changing -----------------------------------------------------------------------------

    def _follow(self, follower: int, followee: int) -> None:
        # Each side is looked at by itself: one that was kept may lack what the other one has.
        self._into.add(followee, follower)
        if self._out.add(follower, followee):
            self._edges += 1
            self._changes += 1

    def _unfollow(self, follower: int, followee: int) -> None:
        self._into.remove(followee, follower)
        if self._out.remove(follower, followee):
            self._edges -= 1
            self._changes += 1

    def _absorb(self) -> None:
        """Fill in what waits."""
        if not self._pending:
            return
        people = np.fromiter(self._pending, np.int64, len(self._pending))
        counts = np.fromiter((len(each) // 4 for each in self._pending.values()), np.int64)
        cells = np.frombuffer(b"".join(self._pending.values()), np.uint32)
        self._pending, self._waiting = {}, 0
        self._reach(max(int(people.max()), int(cells.max(initial=0))) + 1)
        old, old_counts = self._out.newest(people)
        before, now = _pairs(people, old_counts, old), _pairs(people, counts, cells)
        if len(before):
            for pair in np.setdiff1d(before, now, assume_unique=True).tolist():
                self._into.remove(pair & 0xFFFFFFFF, pair >> 32)
            now = np.setdiff1d(now, before, assume_unique=True)
        self._edges += len(cells) - len(old)
        self._changes += len(cells)
        self._out.replace(people, counts, cells)
        turned = (now & 0xFFFFFFFF) << 32 | now >> 32
        turned.sort()
        followees = turned >> 32
        first = np.flatnonzero(np.diff(followees, prepend=-1))
        followers = np.diff(first, append=len(turned))
        cells = (turned & 0xFFFFFFFF).astype(np.uint32)
        self._into.extend(followees[first], followers, cells)

    def _reach(self, people: int) -> None:
        """Make room for so many people, and some more."""
        missing = people - len(self._score)
        if missing > 0:
            size = people + people // 8
            self._budget.take((size - len(self._score)) * (8 + 1 + 4 + 4))
            self._out.reach(size)
            self._into.reach(size)
            self._score = np.zeros(size)
            self._mark = np.zeros(size, np.bool_)
            self._ahead = np.full(size, UNSEEN, np.int32)
            self._back = np.full(size, UNSEEN, np.int32)


def _full(most: int) -> GraphFull:
    return GraphFull(f"It would take more than {most / MB:.0f} MB; the database answers.")


def _all(values: NDArray[np.generic]) -> Counts:
    return np.arange(len(values))


def _pairs(people: Counts, counts: Counts, cells: Cells) -> Counts:
    """Return follower and followee as one number each."""
    pairs: Counts = np.repeat(people, counts) << 32 | cells
    return pairs
