"""Lists of numbers, one for each person, all in one array: four bytes a number."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cells: TypeAlias = NDArray[np.uint32]
Counts: TypeAlias = NDArray[np.int64]
Side: TypeAlias = tuple[NDArray[np.int32], Cells]
"""How long each list is, and what is in them, one list after the other."""

EVERYTHING = 2**31 - 1
AT_ONCE = 10_000
"""People whose lists are moved at once, which bounds what that takes besides."""
SPARE = 4
"""A list that is full moves to the array's end, with room for a quarter more and this many."""
WASTE = 3
"""When a third of the used array is what moved lists left behind, all move together."""


class Full(Exception):
    """The bytes that may be taken are taken."""


class Budget:
    """Bytes that several arrays may take together. Full: whoever wants more is refused.

    An array that grows is there twice for a moment, which is not counted.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._left = most

    def take(self, more: int) -> None:
        """Count in more bytes, or less if it is negative. Raises Full."""
        if more > self._left:
            raise Full
        self._left -= more


class Rows:
    """Grows and shrinks a number at a time, or many lists at once; the newest come last.

    A person takes sixteen bytes; a list that has grown has up to a quarter of its length to spare.
    """

    def __init__(self, budget: Budget) -> None:
        """Raises Full where there is no more room in the budget; it is of no use after that."""
        self._budget = budget
        self._cells: Cells = np.empty(0, np.uint32)
        self._start: NDArray[np.int64] = np.zeros(0, np.int64)
        self._room: NDArray[np.int32] = np.zeros(0, np.int32)
        self.count: NDArray[np.int32] = np.zeros(0, np.int32)
        """How long each list is."""
        self._end = 0
        self._lost = 0

    @property
    def people(self) -> int:
        return len(self.count)

    @property
    def memory(self) -> int:
        """Bytes."""
        return sum(each.nbytes for each in (self._cells, self._start, self._room, self.count))

    def reach(self, people: int) -> None:
        """Have a list for each of so many people, and for some more."""
        missing = people - self.people
        if missing > 0:
            missing += self.people // 8
            self._budget.take(missing * (8 + 4 + 4))
            self._start = np.append(self._start, np.zeros(missing, np.int64))
            self._room = np.append(self._room, np.zeros(missing, np.int32))
            self.count = np.append(self.count, np.zeros(missing, np.int32))

    def of(self, number: int) -> Cells:
        """Return a person's list; it is a view, good until the next change."""
        if number >= self.people:
            return self._cells[:0]
        start = self._start[number]
        return self._cells[start : start + self.count[number]]

    def newest(self, people: NDArray[np.integer], most: int = EVERYTHING) -> tuple[Cells, Counts]:
        """Return the last ones of each list, one list after the other, and how many of each."""
        whole = self.count[people]
        counts = np.minimum(whole, most).astype(np.int64)
        return self._cells[_places(self._start[people] + whole - counts, counts)], counts

    def add(self, number: int, one: int) -> bool:
        """Append to a person's list, unless it is there; return whether that was a change."""
        self.reach(number + 1)
        row = self.of(number)
        if (row == one).any():
            return False
        if len(row) >= self._room[number]:
            self._move_one(number, len(row))
        self._cells[self._start[number] + len(row)] = one
        self.count[number] += 1
        return True

    def remove(self, number: int, one: int) -> bool:
        row = self.of(number)
        found = np.flatnonzero(row == one)
        if not len(found):
            return False
        at = found[0]
        row[at:-1] = row[at + 1 :].copy()
        self.count[number] -= 1
        return True

    def remove_from(self, people: Counts, one: int) -> int:
        """Remove a number from the lists of different people; return from how many."""
        people = people[people < self.people]
        cells, counts = self.newest(people)
        stays = cells != one
        left = np.bincount(np.repeat(np.arange(len(people)), counts)[stays], minlength=len(people))
        self.replace(people, left, cells[stays])
        return int(counts.sum() - left.sum())

    def empty(self, number: int) -> None:
        if number < self.people:
            self.count[number] = 0

    def replace(self, people: Counts, counts: Counts, cells: Cells) -> None:
        """Set the lists of different people, which follow each other in `cells`."""
        self.reach(int(people.max(initial=-1)) + 1)
        self.count[people] = 0
        tight = counts > self._room[people]
        self._move(people[tight], counts[tight], spare=False)
        self._write(people, counts, cells)

    def extend(self, people: Counts, counts: Counts, cells: Cells) -> None:
        """Append to the lists of different people; nothing may be there already."""
        self.reach(int(people.max(initial=-1)) + 1)
        needed = self.count[people] + counts
        tight = needed > self._room[people]
        self._move(people[tight], needed[tight])
        self._write(people, counts, cells)

    def stretches(self) -> Iterator[tuple[Cells, Counts]]:
        """Yield everybody's lists and how long they are, in order, some people at a time."""
        for first in range(0, self.people, AT_ONCE):
            yield self.newest(np.arange(first, min(first + AT_ONCE, self.people)))

    def load(self, side: Side) -> None:
        """Take over lists, where there are none yet."""
        counts, cells = side
        self._budget.take(4 * len(cells) + (8 + 4 + 4) * len(counts))
        self._cells, self.count = cells, counts
        self._start = np.cumsum(counts, dtype=np.int64) - counts
        self._room = counts.copy()
        self._end, self._lost = len(cells), 0

    def _write(self, people: Counts, counts: Counts, cells: Cells) -> None:
        self._cells[_places(self._start[people] + self.count[people], counts)] = cells
        self.count[people] += counts.astype(np.int32)

    def _move(self, people: Counts, needed: Counts, *, spare: bool = True) -> None:
        """Move lists to the end of the array, where there is room for so many numbers."""
        if not len(people):
            return
        rooms = needed + needed // 4 + SPARE if spare else needed
        self._make_room(int(rooms.sum()))
        starts = self._end + np.cumsum(rooms) - rooms
        counts = self.count[people].astype(np.int64)
        self._cells[_places(starts, counts)] = self._cells[_places(self._start[people], counts)]
        self._lost += int(self._room[people].sum())
        self._start[people] = starts
        self._room[people] = rooms
        self._end += int(rooms.sum())

    def _move_one(self, number: int, count: int) -> None:
        """Move a list that is full; what it has stays."""
        room = count + count // 4 + SPARE
        self._make_room(room)
        self._cells[self._end : self._end + count] = self.of(number)
        self._lost += count
        self._start[number] = self._end
        self._room[number] = room
        self._end += room

    def _make_room(self, cells: int) -> None:
        """Have so many cells free at the end; memory that moved lists left is won back."""
        if self._end + cells <= len(self._cells):
            return
        size = self._end - self._lost + cells
        if self._lost * WASTE < self._end:
            size = self._end + cells
            fresh = self._fresh(size + size // 8)
            fresh[: self._end] = self._cells[: self._end]
            self._cells = fresh
        else:
            self._pack(size + size // 8)

    def _fresh(self, size: int) -> Cells:
        """Return cells to use in place of those there are."""
        self._budget.take(4 * (size - len(self._cells)))
        return np.empty(size, np.uint32)

    def _pack(self, size: int) -> None:
        fresh = self._fresh(size)
        starts = np.cumsum(self._room, dtype=np.int64) - self._room
        done = 0
        for cells, counts in self.stretches():
            here = slice(done, done + len(counts))
            fresh[_places(starts[here], counts)] = cells
            done += len(counts)
        self._cells, self._start = fresh, starts
        self._end, self._lost = int(self._room.sum(dtype=np.int64)), 0


def _ramp() -> Callable[[int], Counts]:
    """Return what counts from 0, from an array that is kept."""
    kept: Counts = np.arange(1 << 16)

    def upto(count: int) -> Counts:
        return kept[:count] if count <= len(kept) else np.arange(count)

    return upto


_upto = _ramp()


def _places(starts: Counts, counts: Counts) -> Counts:
    """Return the places of cells: so many from each start."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    places: Counts = np.repeat(starts - ends + counts, counts)
    places += _upto(total)
    return places
