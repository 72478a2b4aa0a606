"""A bounded map of what was used recently."""

from collections.abc import Iterator
from typing import Generic, TypeVar
from uuid import UUID

from nova.kernel.ids import parse_id

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps at least `most / 2` and at most `most` entries; the least recently used go first.

    Two generations: what is read moves into the young one; when that is half of `most`,
    the old one is dropped whole. A hit costs one dict look-up, an eviction nothing.
    """

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def __iter__(self) -> Iterator[K]:
        yield from {**self._old, **self._young}

    def get(self, key: K) -> V | None:
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def drop(self, key: K) -> V | None:
        old = self._old.pop(key, None)
        young = self._young.pop(key, None)
        return old if young is None else young

    def clear(self) -> None:
        self._young.clear()
        self._old.clear()


class Changes(Generic[K]):
    """What changed when: tells whether something looked up earlier may be outdated by now.

    Take `mark()` before a look-up and keep it with the answer; `since(mark, key)` is True once
    the key changed after that, even while the look-up was still under way.
    """

    def __init__(self, most: int) -> None:
        """Beyond `most` changed keys everything counts as changed, and counting starts anew."""
        self._most = most
        self._count = 0
        self._everything = 0
        self._last: dict[K, int] = {}

    def mark(self) -> int:
        return self._count

    def add(self, key: K) -> None:
        if len(self._last) >= self._most:
            self.everything()
        self._count += 1
        self._last[key] = self._count

    def everything(self) -> None:
        self._count += 1
        self._everything = self._count
        self._last.clear()

    def since(self, mark: int, key: K) -> bool:
        return self._everything > mark or self._last.get(key, 0) > mark


def hear(changes: Changes[UUID] | Changes[UUID | str], payload: str | None) -> None:
    """Take a signal's word that what an id names changed; anything but an id means everything."""
    changed = parse_id(payload) if payload else None
    if changed is None:
        changes.everything()
    else:
        changes.add(changed)
