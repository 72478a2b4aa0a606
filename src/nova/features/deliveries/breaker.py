"""A circuit breaker: a provider in trouble is left alone, then tried with one delivery."""

from collections.abc import Callable
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
    """Opens after trouble in a row, for longer and longer, with jitter. Times are monotonic."""

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
