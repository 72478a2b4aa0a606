"""Where answers are kept, so that a repeated request gets the first one's."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from nova.kernel.errors import Conflict, Invalid


class KeyReused(Invalid):
    """This Idempotency-Key was used before, with another request."""

    code = "idempotency_key_reused"
    hint = "Use a new key for each new request."


class StillRunning(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency_key_in_flight"


class Kept(Struct, frozen=True):
    """An answer as it was given."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Idempotency(Protocol):
    """Keys by owner. A claim that is never kept or dropped frees itself after a while."""

    async def claim(self, owner: str, key: str, fingerprint: bytes) -> UUID | Kept:
        """Claim a key for a request, durably; return the claim, or the answer kept under it.

        Raises KeyReused when the key was for another fingerprint, StillRunning while
        another claim holds.
        """

    async def keep(
        self, owner: str, key: str, claim: UUID, run: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        """Run, and keep the answer in the same commit as what was done; return the answer.

        Either both are durable on return, or neither is. Raises what `run` does, and
        StillRunning when the claim has passed to somebody else: then nothing was done.
        """

    async def drop(self, owner: str, key: str, claim: UUID) -> None:
        """Free the key, unless an answer is kept under it."""

    async def expire(self) -> int:
        """Forget the keys whose time is over; return how many."""
