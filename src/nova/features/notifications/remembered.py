"""A bounded cache that is told when to forget, and never keeps what was outdated on arrival."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by key, loaded many at a time; keys that `load` leaves out are remembered as None.

    At most `most` are kept: the oldest go first.
    """

    def __init__(
        self, load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int = 100_000
    ) -> None:
        self._load = load
        self._most = most
        self._kept: dict[K, V | None] = {}
        self._loads = 0
        self._outdated: set[K] = set()
        self._all_outdated = False

    def forget(self, key: K | None) -> None:
        """Forget one key, or everything (None); loads under way won't be kept either."""
        if key is None:
            self._kept.clear()
        else:
            self._kept.pop(key, None)
        if self._loads:
            if key is None:
                self._all_outdated = True
            else:
                self._outdated.add(key)

    async def of(self, keys: Sequence[K]) -> Mapping[K, V | None]:
        """Return the value of each key."""
        kept = self._kept
        found = {key: kept[key] for key in keys if key in kept}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            found.update(await self._fetched(missing))
        return found

    async def _fetched(self, missing: Sequence[K]) -> Mapping[K, V | None]:
        self._loads += 1
        try:
            loaded = await self._load(missing)
            values = {key: loaded.get(key) for key in missing}
            if not self._all_outdated:
                self._keep({k: v for k, v in values.items() if k not in self._outdated})
        finally:
            self._loads -= 1
            if not self._loads:
                self._outdated.clear()
                self._all_outdated = False
        return values

    def _keep(self, values: Mapping[K, V | None]) -> None:
        self._kept.update(values)
        if len(self._kept) > self._most:
            # An eighth at once: deleting a dict's first key over and over takes ever longer.
            for key in list(islice(self._kept, len(self._kept) - self._most * 7 // 8)):
                del self._kept[key]
