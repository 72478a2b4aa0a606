"""Gates: how many attempts may be under way at once, and whether any may be."""

from collections.abc import Callable, Iterable
from enum import StrEnum

AFTER = 8
"""Outcomes in a row that speak of trouble."""
FIRST_S, LONGEST_S = 1.0, 60.0


class State(StrEnum):
    """Whether deliveries pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One passes, to see."""


class Breaker:
    """Leaves a provider in trouble alone, then tries it with one delivery.

    It opens after trouble in a row, for longer and longer, with jitter. Times are monotonic.
    """

    def __init__(self, roll: Callable[[], float], *, after: int = AFTER) -> None:
        """`roll` draws evenly from [0, 1)."""
        self._roll = roll
        self._after = after
        self._in_a_row = 0
        self._pause_s = FIRST_S
        self._until = 0.0
        self._probing = False
        self.opened = 0
        """How often it opened."""

    def state(self, now: float) -> State:
        if self._in_a_row < self._after:
            return State.CLOSED
        return State.OPEN if now < self._until else State.HALF_OPEN

    def room(self, now: float, most: int) -> int:
        """Return how many may be tried now, of `most` that could be."""
        match self.state(now):
            case State.CLOSED:
                return most
            case State.OPEN:
                return 0
        return 0 if self._probing else min(1, most)

    def wait_s(self, now: float) -> float:
        return max(0.0, self._until - now) if self.state(now) is State.OPEN else 0.0

    def began(self, now: float) -> None:
        if self.state(now) is State.HALF_OPEN:
            self._probing = True

    def untried(self) -> None:
        """Note that what began was not tried after all."""
        self._probing = False

    def went(self, *, sick: bool, now: float) -> None:
        """Note an outcome."""
        if not sick:
            self._in_a_row, self._pause_s, self._probing = 0, FIRST_S, False
            return
        half_open = self.state(now) is State.HALF_OPEN
        self._in_a_row += 1
        if self._in_a_row == self._after or (half_open and self._probing):
            self._until = now + self._pause_s * (0.5 + self._roll() / 2)
            self._pause_s = min(LONGEST_S, self._pause_s * 2)
            self._probing = False
            self.opened += 1


class Gate:
    """How many attempts may be under way to one provider at once, and whether any may be.

    A quarter of the places is kept for what is live. What is live is claimed by no more than that
    at a time, so that those who claim in bulk find the other places free meanwhile.
    """

    def __init__(
        self, roll: Callable[[], float], at_once: int, *, within: "Gate | None" = None
    ) -> None:
        """What passes takes a place of `within`, too."""
        self.breaker = Breaker(roll)
        self.at_once = at_once
        self.under_way = 0
        self._within = within
        self._reserved = {False: 0, True: 0}

    @property
    def kept(self) -> int:
        return self.at_once // 4

    @property
    def taken(self) -> int:
        return self.under_way + sum(self._reserved.values())

    def reserve(self, now: float, most: int, *, bulk: bool = False) -> int:
        """Keep places for what is about to be claimed; `free` them after."""
        others = self._reserved[not bulk]
        own = self._reserved[bulk]
        if (others or own) and self.breaker.state(now) is not State.CLOSED:
            return 0
        free = self.at_once - self.under_way - own - max(others, self.kept if bulk else 0)
        room = max(0, min(most, self.breaker.room(now, free)))
        self._reserved[bulk] += room
        return room

    def free(self, places: int, *, bulk: bool = False) -> None:
        """Give reserved places back."""
        self._reserved[bulk] -= places

    def begin(self, now: float) -> None:
        self.under_way += 1
        self.breaker.began(now)
        if self._within is not None:
            self._within.begin(now)

    def end(self) -> None:
        self.under_way -= 1
        if self._within is not None:
            self._within.end()

    def went(self, *, sick: bool, now: float) -> None:
        """Note an outcome."""
        self.breaker.went(sick=sick, now=now)


def worst(gates: Iterable[Gate], now: float) -> State:
    """Return the state of that which is worst."""
    found = {gate.breaker.state(now) for gate in gates}
    return next((each for each in (State.OPEN, State.HALF_OPEN) if each in found), State.CLOSED)
