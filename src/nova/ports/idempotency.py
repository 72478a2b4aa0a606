"""Where answers are kept, so that a repeated request gets the first one's."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from nova.kernel.errors import Conflict, Invalid


class KeyReused(Invalid):
    """This Idempotency-Key came before, with another request."""

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

    async def keep(self, owner: str, key: str, claim: UUID, answer: Kept) -> None:
        """Keep the answer, unless the claim has passed to somebody else."""

    async def drop(self, owner: str, key: str, claim: UUID) -> None:
        """Free the key: nothing was done under it."""

    async def expire(self) -> int:
        """Forget the keys whose time is over; return how many."""
