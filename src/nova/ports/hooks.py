"""Hooks: POSTs to addresses that the host app named, and that may lead anywhere."""

from collections.abc import Mapping
from typing import Protocol

from nova.kernel.errors import Invalid
from nova.ports.carriers import Outcome


class ForbiddenUrl(Invalid):
    """Nova does not call this address."""

    code = "forbidden_url"
    hint = (
        "A webhook is an https:// address in the public internet; networks of your own are "
        "allowed by the setting `outgoing.allowed_networks`."
    )


class Hooks(Protocol):
    """Calls addresses of strangers, guarded: only public ones, and no redirect is followed."""

    def check(self, url: str) -> str:
        """Return the one spelling of a URL; raises ForbiddenUrl where no DNS is needed for that."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post JSON once; SENT is any 2xx, GONE a 410, and everything else is to be retried.

        Whatever the address or the network does is an Outcome; what raises is a bug.
        """
