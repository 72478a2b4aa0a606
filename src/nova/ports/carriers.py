"""Channels out: what carries a rendered notification to one device or mailbox."""

from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct


class Target(Struct, frozen=True):
    """Where a parcel goes: one device or mailbox."""

    device_id: UUID | None
    """The device, None for a mailbox."""
    platform: Literal["ios", "android", "web", "mail"]
    address: str
    """A device token (ios, android), an endpoint's URL (web), or an e-mail address (mail)."""
    keys: dict[str, str] = {}
    """Web Push: `p256dh` and `auth`, base64url. APNs: `topic`, `environment` (`production` or
    `sandbox`); both may be absent."""


class Image(Struct, frozen=True):
    """An image that comes with a mail, which its HTML shows as `cid:<cid>`."""

    cid: str
    kind: str
    """Its media type."""
    content: str
    """In base64, in lines of up to 76 characters."""


class Parcel(Struct, frozen=True):
    """What is carried, already rendered for its recipient."""

    id: UUID
    """The delivery's id; stable over retries: a mail's Message-ID derives from it."""
    target: Target
    title: str
    """The title, or a mail's subject. Without title and body, a push wakes the app silently."""
    body: str
    html: str | None
    """A mail's HTML part; `body` is its plain one."""
    url: str | None
    data: dict[str, str]
    collapse_id: str
    """Of two parcels with the same one, the later replaces the earlier on the device: so it
    makes repeats harmless and recalls possible."""
    urgent: bool
    expires_at: datetime
    """When it is of no use any more; aware. Nothing is sent after it."""
    locale: str
    unsubscribe_url: str | None
    """Where one click unsubscribes (RFC 8058); https."""
    badge: int | None
    image: Image | None = None
    """Of a mail, what its HTML shows besides words."""


class Verdict(StrEnum):
    """What became of a parcel, and so what to do next."""

    SENT = "sent"
    """The provider has it."""
    RETRY = "retry"
    """Not sent; the same parcel may pass later."""
    GONE = "gone"
    """Not sent; the address is dead. See `gone_since` before deleting it."""
    REFUSED = "refused"
    """Not sent, and never will be: this parcel is at fault, the address is not."""
    MISCONFIGURED = "misconfigured"
    """Not sent; our credentials or settings are at fault: pause the channel, purge nothing."""
    UNKNOWN = "unknown"
    """May have been delivered: the reply was lost. Repeat with the same collapse id."""


class Outcome(Struct, frozen=True):
    """What a provider made of a parcel."""

    verdict: Verdict
    code: str
    """The provider's own name for it (`Unregistered`, `429`, `5.1.1`), or ours in snake case."""
    text: str
    """A sentence for people who look into the delivery log."""
    retry_after_s: float | None
    """The least wait before a retry, when the provider or its documentation demands one."""
    gone_since: datetime | None
    """When the provider saw the address die; a registration newer than that is alive."""
    provider_id: str | None
    """The provider's id of the message."""


class Carrier(Protocol):
    """Sends parcels over one provider's protocol.

    To recall what is on a device, send a parcel with the same collapse id.
    """

    @property
    def name(self) -> str: ...

    async def send(self, parcel: Parcel) -> Outcome:
        """Send once, without retries that could deliver twice; many calls may run at once.

        Whatever the provider or the network does is an Outcome; what raises is a bug.
        """

    async def ping(self) -> str:
        """Return a sentence about the reachable provider, or raise Unavailable with the reason."""
