"""Where rate limits are counted."""

from typing import Protocol


class Limits(Protocol):
    """A store of GCRA states; a failing store raises Unavailable or OSError."""

    async def take(self, name: str, key: str, *, per_s: float, burst: int, cost: int = 1) -> float:
        """Take `cost` calls from a limit; return 0, or the seconds until that many fit.

        What does not fit is not taken. Cost 0 asks whether one call would fit, taking none.
        """
