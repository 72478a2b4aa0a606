"""Fan-out within one process."""

from collections.abc import Callable, Sequence

from nova.ports.channels import Publication


class LocalFanout:
    """The Fanout port for a deployment of one process."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Sequence[Publication]], None]] = []

    async def publish(self, publication: Publication) -> None:
        for listener in self._listeners:
            listener([publication])

    def listen(self, call: Callable[[Sequence[Publication]], None]) -> None:
        self._listeners.append(call)
