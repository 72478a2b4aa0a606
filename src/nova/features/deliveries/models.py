"""What deliveries look like, on the wire and in the store."""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal, TypeAlias, get_args
from uuid import UUID

from msgspec import Meta, Struct

from nova.kernel.text import Name

Channel: TypeAlias = Literal["push", "web_push", "email"]
CHANNELS: tuple[Channel, ...] = ("push", "web_push", "email")
LANES: tuple[Literal["ios", "android", "web", "mail"], ...] = ("ios", "android", "web", "mail")
CHANNEL_OF: dict[str, Channel] = {
    "ios": "push",
    "android": "push",
    "web": "web_push",
    "mail": "email",
}
"""By platform, the name that preferences use."""


class Status(IntEnum):
    """How far a delivery is known to have come. Only grows, whatever is reported in which order."""

    UNDELIVERED = 0
    BOUNCED = 1
    """The provider said that nothing can arrive there."""
    ATTEMPTED = 2
    """It was tried, and may or may not have arrived."""
    QUEUED = 3
    """A provider keeps it for later."""
    SENT = 4
    DELIVERED = 5
    """The device said so."""
    OPENED = 6


Phase: TypeAlias = Literal[
    "waiting", "held", "standby", "done", "failed", "dead", "dropped", "merged"
]
"""What Nova does with a delivery: it waits for its turn; is held for quiet hours; stands by in case
it is needed; is done; failed because the address is gone; is a dead letter; was dropped, for a
reason; or went out as a part of another one."""
PHASES: list[str] = list(get_args(Phase))


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One notification on its way to one device or mailbox."""

    id: UUID
    notification: UUID
    kind: str
    user: UUID
    type: str
    channel: str
    lane: str
    address: str
    title: str
    phase: str
    status: str
    reason: str | None = None
    rule: str | None = None
    collapse_id: str
    made_at: datetime
    expires_at: datetime
    next_at: datetime | None = None
    """When it is tried, released or needed next."""
    attempts: int = 0
    resends: int = 0
    """Attempts made although an earlier one may have arrived; all with the same collapse id."""
    code: str | None = None
    """The provider's last word."""
    text: str | None = None
    provider_id: str | None = None
    merged_into: UUID | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at a delivery."""

    number: int
    started_at: datetime
    finished_at: datetime | None = None
    verdict: str | None = None
    code: str | None = None
    text: str | None = None
    next_at: datetime | None = None
    resend: bool = False


class Detail(Struct, frozen=True, kw_only=True):
    """A delivery with every attempt."""

    delivery: Delivery
    attempts: list[Attempt]


class Which(Struct, frozen=True, kw_only=True):
    """Which deliveries."""

    user: Name | None = None
    notification: UUID | None = None
    channel: Literal["push", "web_push", "email", "webhook"] | None = None
    phase: Phase | None = None
    status: (
        Literal["undelivered", "bounced", "attempted", "queued", "sent", "delivered", "opened"]
        | None
    ) = None
    type: Name | None = None
    code: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Redrive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to try again; what is left out matches all."""

    user: Name | None = None
    channel: Literal["push", "web_push", "email", "webhook"] | None = None
    type: Name | None = None
    code: Name | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class Redriven(Struct, frozen=True):
    """How many dead letters wait for their turn again."""

    redriven: int


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of a push that it got."""

    status: Literal["delivered", "opened"]


class LaneState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a lane does."""

    lane: str
    channel: str
    carrier: str
    breaker: str
    """Of this process: closed, open or half_open."""
    in_flight: int
    waiting: int
    oldest_s: float = 0.0
    """Seconds for which the first in the line has been due."""
    held: int = 0
    dead: int = 0
    paused_until: datetime | None = None
    why: str | None = None
    purging: bool = True
    """Whether dead addresses are removed; not while suspiciously many die."""
    purging_why: str | None = None
    sent: int = 0
    """In the last hour; so are the next two."""
    failed: int = 0
    gone: int = 0


class Rendered(Struct, frozen=True, kw_only=True):
    """What the sink took in place of a provider."""

    number: int
    id: UUID
    at: datetime
    lane: str
    parcel: dict[str, Any]


class Rendereds(Struct, frozen=True):
    """The newest that the sink took."""

    data: list[Rendered]


class Seek(Struct, frozen=True, kw_only=True):
    """Which rendered parcels."""

    user: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class New(Struct, frozen=True, kw_only=True):
    """A delivery to write into the ledger."""

    id: UUID
    notification: UUID
    user: UUID
    number: int
    type: str
    channel: str
    target: UUID
    phase: str
    made_at: datetime
    expires_at: datetime
    kind: str = "single"
    actor: UUID | None = None
    about: str | None = None
    lane: str = ""
    address: str = ""
    keys: str = "{}"
    title: str = ""
    body: str = ""
    url: str | None = None
    data: str = "{}"
    locale: str = "en"
    urgent: bool = False
    critical: bool = False
    collapse_id: str = ""
    reason: str | None = None
    rule: str | None = None
    due: datetime | None = None
    priority: int = 0


class Claimed(Struct, frozen=True, kw_only=True):
    """A delivery under this process's lease."""

    id: UUID
    fence: int
    notification: UUID
    kind: str
    user: UUID
    type: str
    channel: str
    lane: str
    device: UUID | None
    address: str
    keys: str
    title: str
    body: str
    url: str | None
    data: str
    locale: str
    urgent: bool
    collapse_id: str
    expires_at: datetime
    attempt: int
    tries: int
    """Attempts since it was first due or redriven, this one included."""
    tries_from: datetime
    about: str | None = None
    critical: bool = False
    summary: bool = False
    """Whether it speaks for others, too."""
    cancelled: bool = False
    """While an attempt was under way whose process then died."""
