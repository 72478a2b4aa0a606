"""Fan-out of what is not stored: to every process that has sockets, as it happens."""

from collections.abc import Callable, Sequence
from typing import Protocol

from nova.ports.channels import Publication


class Fanout(Protocol):
    """Carries publications without offsets; one that is lost is lost."""

    async def publish(self, publication: Publication) -> None:
        """Hand a publication to the listeners of all processes, this one included."""

    def listen(self, call: Callable[[Sequence[Publication]], None]) -> None:
        """Call this with what any process publishes; it must be quick and must not raise."""
