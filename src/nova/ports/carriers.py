"""Carriers: what takes a rendered push or mail to a provider, and says how that went."""

from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

Platform: TypeAlias = Literal["ios", "android", "web", "mail"]


class Target(Struct, frozen=True):
    """Where to: one device or one mailbox."""

    device_id: UUID | None
    """None for a mailbox, which belongs to the user and not to a device."""
    platform: Platform
    address: str
    """The push token, the endpoint of a Web Push subscription, or the e-mail address."""
    keys: dict[str, str] = {}
    """Web Push: `p256dh` and `auth`. APNs: `topic` and `environment` (production or sandbox)."""


class Parcel(Struct, frozen=True):
    """What to deliver, already in words.

    Without title and body nothing is shown: `data` alone goes to the app, in the background.
    """

    id: UUID
    """The delivery's id: stable over retries, so that a Message-ID can be made of it."""
    target: Target
    title: str
    body: str
    html: str | None
    """The body as HTML, for mail."""
    url: str | None
    """Where a tap leads."""
    data: dict[str, str]
    collapse_id: str
    """At most 32 characters of base64url: a later parcel with the same one replaces this one."""
    urgent: bool
    expires_at: datetime
    """After this time it is worth nothing any more."""
    locale: str
    unsubscribe_url: str | None
    """For List-Unsubscribe (RFC 8058): a POST there ends such mail; a GET changes nothing."""
    badge: int | None
    """What the app's icon should show."""


class Verdict(StrEnum):
    """What became of a parcel."""

    SENT = "sent"
    """The provider took it."""
    RETRY = "retry"
    """Not now: the provider, or the way there, is in trouble. It was not delivered."""
    GONE = "gone"
    """The address is dead: nothing will ever arrive there."""
    REFUSED = "refused"
    """The provider will not have this parcel; another one to the same address may do."""
    MISCONFIGURED = "misconfigured"
    """Our credentials or settings are wrong: no parcel of this carrier will get through."""
    UNKNOWN = "unknown"
    """It may have been delivered: the reply was lost."""


class Outcome(Struct, frozen=True):
    """How a carrier's attempt went."""

    verdict: Verdict
    code: str = ""
    """The provider's own word for it, as in `UNREGISTERED` or `4.7.1`."""
    text: str = ""
    retry_after_s: float | None = None
    """Seconds for which the provider wants to be left alone."""
    gone_since: datetime | None = None
    """When the provider learned that the address is dead; a later registration is not meant."""
    provider_id: str | None = None
    """The provider's id of what it took."""


class Carrier(Protocol):
    """One way out. Safe to call concurrently; a failed delivery is an Outcome, not an exception."""

    name: str

    async def send(self, parcel: Parcel) -> Outcome:
        """Try once to deliver; retries, pacing and deadlines are the caller's affair."""

    async def ping(self) -> str:
        """Return the provider's name and state in a line, or raise Unavailable."""
