"""Facts for tests of the log."""

from typing import ClassVar

from nova.kernel.events import Fact


class Waved(Fact, frozen=True, kw_only=True):
    """Somebody waved."""

    topic: ClassVar[str] = "tests"
    who: str
    n: int = 0

    @property
    def key(self) -> str:
        return self.who


class Left(Fact, frozen=True, kw_only=True):
    """Somebody left."""

    topic: ClassVar[str] = "tests"
    who: str

    @property
    def key(self) -> str:
        return self.who


class Viewed(Fact, frozen=True, kw_only=True):
    """Somebody saw something: of a busy topic."""

    topic: ClassVar[str] = "views"
    who: str
    n: int = 0

    @property
    def key(self) -> str:
        return self.who
