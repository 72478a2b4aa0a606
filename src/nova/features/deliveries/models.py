"""What deliveries look like, on the wire and in the store."""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal, TypeAlias, get_args
from uuid import UUID

from msgspec import Meta, Struct, field

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
    """Nova's id of the delivery."""
    notification: UUID
    """The notification that it carries."""
    kind: str
    """`single`, `digest`, or `recall` for what takes an earlier one back."""
    user: UUID
    """Whom it is for."""
    type: str
    """The type of the notification."""
    channel: str
    """`push`, `web_push`, `email` or `webhook`."""
    lane: str
    """The provider's queue: `ios`, `android`, `web`, `mail` or `webhook`."""
    address: str
    """Where it goes, shortened: a push token, an endpoint or a mail address."""
    title: str
    """Its title, as it was rendered."""
    phase: str
    """What Nova does with it."""
    status: str
    """How far it is known to have come."""
    reason: str | None = None
    """Why it was dropped, held, or failed: a word that programs can rely on."""
    rule: str | None = None
    """Which preference or policy decided."""
    collapse_id: str
    """The same for all that replace one another on the device."""
    made_at: datetime
    """When it was planned."""
    expires_at: datetime
    """When it is not worth sending any more."""
    next_at: datetime | None = None
    """When it is tried, released or needed next."""
    attempts: int = 0
    """How often it was tried."""
    resends: int = 0
    """Attempts made although an earlier one may have arrived; all with the same collapse id."""
    code: str | None = None
    """The provider's last word."""
    text: str | None = None
    """The provider's last word, in a sentence."""
    provider_id: str | None = None
    """The provider's own id of it."""
    merged_into: UUID | None = None
    """The delivery that went out in its place."""
    sent_at: datetime | None = None
    """When a provider took it."""
    delivered_at: datetime | None = None
    """When the device said that it has it."""


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at a delivery."""

    number: int
    """Counts from 1."""
    started_at: datetime
    """When it was begun."""
    finished_at: datetime | None = None
    """When the provider answered; absent if nobody knows."""
    verdict: str | None = None
    """What follows: sent, retry, gone, refused, or misconfigured."""
    code: str | None = None
    """The provider's code."""
    text: str | None = None
    """The provider's word, in a sentence."""
    next_at: datetime | None = None
    """When it is tried again."""
    resend: bool = False
    """Whether an earlier attempt may have arrived."""


class Detail(Struct, frozen=True, kw_only=True):
    """A delivery with every attempt."""

    delivery: Delivery
    """The delivery."""
    attempts: list[Attempt]
    """Every attempt, the first one first."""


class Which(Struct, frozen=True, kw_only=True):
    """Which deliveries."""

    user: Name | None = None
    """Of this user, by either id."""
    notification: UUID | None = None
    """Of this notification."""
    channel: Literal["push", "web_push", "email", "webhook"] | None = None
    """Of this channel."""
    webhook: UUID | None = None
    """The calls of this webhook."""
    phase: Phase | None = None
    """In this phase."""
    status: (
        Literal["undelivered", "bounced", "attempted", "queued", "sent", "delivered", "opened"]
        | None
    ) = None
    """Of this status."""
    type: Name | None = None
    """Of this type of notification."""
    code: Name | None = None
    """Whose last answer had this code."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    """How many at most."""
    cursor: Annotated[str, Meta(max_length=512)] | None = None
    """Where the page begins: `next_cursor` of the one before."""


class Redrive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to try again; what is left out matches all."""

    user: Name | None = None
    """Of this user, by either id."""
    channel: Literal["push", "web_push", "email", "webhook"] | None = None
    """Of this channel."""
    type: Name | None = None
    """Of this type of notification."""
    code: Name | None = None
    """Whose last answer had this code."""
    since: Annotated[datetime, Meta(tz=True)] | None = None
    """Made at this time or later."""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Made before this time."""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """How many at most, the oldest first."""


class Redriven(Struct, frozen=True):
    """How many dead letters wait for their turn again."""

    redriven: int
    """How many wait again."""


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of a push that it got."""

    status: Literal["delivered", "opened"]
    """What the device or the person did with it."""


class LaneState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a lane does."""

    lane: str
    """The provider's queue."""
    channel: str
    """The channel that it serves."""
    carrier: str
    """Which provider it is, or the outbox that stands in for one."""
    breaker: str
    """Of this process: closed, open or half_open."""
    in_flight: int
    """How many are being sent."""
    waiting: int
    """How many wait for their turn."""
    oldest_s: float = 0.0
    """Seconds for which the first in the line has been due."""
    held: int = 0
    """How many quiet hours hold."""
    dead: int = 0
    """How many are dead letters."""
    paused_until: datetime | None = None
    """Until when nothing is sent."""
    why: str | None = None
    """Why it pauses."""
    purging: bool = True
    """Whether dead addresses are removed; not while suspiciously many die."""
    purging_why: str | None = None
    """Why dead addresses are not removed."""
    sent: int = 0
    """In the last hour; so are the next two."""
    failed: int = 0
    """How many failed because the address is gone."""
    gone: int = 0
    """How many addresses were removed because their provider called them dead."""


class CaughtMail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail in the catcher, as its reader would see it."""

    subject: str
    """Its subject."""
    sender: str = field(name="from")
    """From whom it comes: the setting `smtp.sender`."""
    to: str
    """The address that it goes to."""
    text: str
    """Its plain text."""
    html: str
    """Its page; an image in it is named `cid:…`."""
    unsubscribe_url: str | None = None
    """Where one click ends such mail."""


class Rendered(Struct, frozen=True, kw_only=True):
    """What the sink took in place of a provider."""

    number: int
    """Counts up; the newest has the highest."""
    id: UUID
    """The delivery's id."""
    at: datetime
    """When it was taken."""
    lane: str
    """The provider's queue that it came from."""
    parcel: dict[str, Any]
    """What the provider would have been given."""
    mail: CaughtMail | None = None
    """The mail, where it is one."""


class Rendereds(Struct, frozen=True, omit_defaults=True):
    """The newest that the sink took."""

    data: list[Rendered]
    """The newest first."""
    images: dict[str, str] = {}
    """What the HTML of mails names as `cid:…`, as `data:…`: today's logo."""


class Seek(Struct, frozen=True, kw_only=True):
    """Which rendered parcels."""

    user: Name | None = None
    """Of this user, by either id."""
    lane: Literal["ios", "android", "web", "mail"] | None = None
    """Of this provider's queue, such as `mail`."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    """How many at most."""


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
    """While a process that was killed made an attempt."""
    reader: str = "en"
    """The language that its reader wants; `locale` is that of its words."""
    actor_name: str | None = None
    metadata: str = "{}"
    """Of the notification, JSON; known of mail alone."""
    count: int = 1
    """How many it tells of."""
