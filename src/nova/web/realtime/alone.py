"""The other processes, where there are none."""

from collections.abc import Callable, Mapping

from nova.ports.fanout import Word


class Alone:
    """The Fanout and the Presence of a process that has its database for itself."""

    others = False

    def follow(self, channel: str) -> None: ...

    def unfollow(self, channel: str) -> None: ...

    async def heard(self, channel: str) -> None: ...

    def tell(self, word: Word) -> None: ...

    def listen(self, call: Callable[[Word], None]) -> None: ...

    def enter(self, channel: str, client: str, info: bytes) -> None: ...

    def leave(self, channel: str, client: str) -> None: ...

    async def elsewhere(self, channel: str) -> Mapping[str, bytes]:  # noqa: ARG002  # nobody is
        return {}
