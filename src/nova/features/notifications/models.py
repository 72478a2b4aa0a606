"""What notifications look like, on the wire and in the store."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from nova.kernel.text import Count, Name, spelled
from nova.web.people import Person, UnknownPerson
from nova.web.people import Profile as Shown

MOST_EVENTS = 1_000
MOST_METADATA = 8_192
"""Bytes of an event's metadata, as JSON."""
MOST_CHOSEN = 500
"""Types about which a person may choose."""
DEPTH = 6
"""How deep metadata may be nested."""

# Without patterns, which cost more than all else: the body as a whole is searched for NUL.
_Id = Annotated[str, Meta(min_length=1, max_length=256)]
_Key = Annotated[str, Meta(max_length=128)]
_Text = Annotated[str, Meta(max_length=4_000)]
_Group = Annotated[str, Meta(min_length=1, max_length=128)]
_Whole = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]


def _json(depth: int) -> Any:
    """Return the type of JSON that is nested up to `depth` deep, so that decoding bounds it."""
    kind: Any = _Text | _Whole | float | bool | None
    for _ in range(depth):
        kind = _Text | _Whole | float | bool | list[kind] | dict[_Key, kind] | None
    return kind


Metadata: TypeAlias = dict[_Key, _json(DEPTH - 1)]  # type: ignore[misc, valid-type]  # built, see above


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happened in the app, and whom to tell."""

    id: _Id
    """The sender's id; the same event sent again is accepted once."""
    event_type: _Key
    """A built-in type or one that the app registered."""
    recipient_id: _Key
    """Whom to tell, by either id."""
    actor_id: _Key | None = None
    """Who did it, by either id; a person is not told of what they did themselves."""
    related_entity_id: _Id | None = None
    """What it is about, such as a post; preferences may name it."""
    timestamp: Annotated[datetime, Meta(tz=True)] | None = None
    """When it happened (RFC 3339); the time of acceptance when absent."""
    metadata: Metadata = {}
    """Anything the templates or the app's clients need, up to 8 KB."""
    group_key: _Group | UnsetType | None = UNSET
    """Events of one type and key join the recipient's unread notification of them, for an hour."""


class CloudData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data of a CloudEvent: whom to tell, and of what."""

    recipient_id: _Key
    """Whom to tell, by either id."""
    actor_id: _Key | None = None
    """Who did it, by either id."""
    related_entity_id: _Id | None = None
    """What it is about."""
    metadata: Metadata = {}
    """Anything the templates or the app's clients need, up to 8 KB."""
    group_key: _Group | UnsetType | None = UNSET
    """Events of one type and key join the recipient's unread notification of them, for an hour."""


class CloudEvent(Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 envelope in structured JSON; extension attributes are ignored.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    """

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: Annotated[str, Meta(min_length=1, max_length=127)]
    """The sender's id; with `source` it names the event."""
    source: Annotated[
        str, Meta(min_length=1, max_length=128), spelled(r"\A\S+\Z", "text without spaces")
    ]
    """Who sent it: a URI reference."""
    type: _Key
    """The type of notification is what stands after the last dot."""
    data: CloudData
    """Whom to tell, and of what."""
    subject: _Id | None = None
    """What it is about, where `data` does not say."""
    time: Annotated[datetime, Meta(tz=True)] | None = None
    """When it happened; the time of acceptance when absent."""
    datacontenttype: Annotated[
        str, spelled(r"(?i)^application/([a-z0-9.+-]*\+)?json", "application/json or …+json")
    ] = "application/json"
    """The media type of `data`: JSON."""

    def event(self) -> Event:
        """Return it in Nova's own shape: `source` and `id` together name it, as the spec says."""
        return Event(
            id=f"{self.source} {self.id}",  # a source is a URI reference: without blanks
            event_type=self.type.rpartition(".")[2],
            recipient_id=self.data.recipient_id,
            actor_id=self.data.actor_id,
            related_entity_id=self.data.related_entity_id or self.subject,
            timestamp=self.time,
            metadata=self.data.metadata,
            group_key=self.data.group_key,
        )


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event; accepted means durable."""

    index: int
    """Its place in the request, from 0."""
    id: str | None
    """The sender's id of the event, where it could be read."""
    status: Literal["accepted", "duplicate", "refused"]
    """Whether it is durable now, was so before, or is not taken."""
    notification: UUID | None = None
    """The id that its notification will have."""
    problem: Mapping[str, Any] | None = None
    """Why it was refused: the members of a problem document."""
    warnings: list[UnknownPerson] = []
    """Whom it names and nobody is: it is taken all the same."""


class Results(Struct, frozen=True, kw_only=True):
    """What became of each event, in the order in which they came."""

    accepted: int
    """How many are durable now."""
    duplicate: int
    """How many were accepted before."""
    refused: int
    """How many were not taken."""
    results: list[Result]
    """One result for each event, in the order of the request."""


class Notification(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification, as its recipient sees it."""

    id: UUID
    """Nova's id of the notification."""
    number: int
    """Counts up by one per recipient."""
    type: str
    """The type of the event."""
    title: str
    """The title, in the recipient's language."""
    body: str = ""
    """More text, in the recipient's language."""
    event_id: str
    """The sender's id of the event."""
    actor_id: UUID | None = None
    """Nova's id of who did it."""
    actor: Person | None = None
    """Who did it, as that person is called now; absent if nobody is known."""
    related_entity_id: str | None = None
    """What it is about."""
    metadata: Raw
    """What the event brought along."""
    occurred_at: datetime
    """When it happened, by the sender's clock."""
    created_at: datetime
    """When it came into the inbox."""
    expires_at: datetime
    """When it is removed by itself."""
    seen_at: datetime | None = None
    """When the recipient saw it in a list."""
    read_at: datetime | None = None
    """When the recipient read it."""
    archived_at: datetime | None = None
    """When the recipient put it away."""
    others: int = 0
    """How many more people are in its group: each counts once."""


class Counts(Struct, frozen=True):
    """How many of the notifications that are not archived are unseen, and unread."""

    unseen: int
    """How many were not seen yet."""
    unread: int
    """How many were not read yet."""


class Mark(StrEnum):
    """What a person may do to a notification."""

    SEEN = "seen"
    READ = "read"
    """Read is also seen."""
    UNREAD = "unread"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


class State(StrEnum):
    """Which notifications to list; archived ones only when asked for."""

    CURRENT = "current"
    UNSEEN = "unseen"
    UNREAD = "unread"
    ARCHIVED = "archived"
    ALL = "all"


class Marking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks many at once: those named, or all up to one, or all."""

    mark: Mark
    """What to do."""
    ids: (
        Annotated[
            list[Any],
            Meta(
                min_length=1,
                max_length=1_000,
                extra_json_schema={"items": {"type": "string", "format": "uuid"}},
            ),
        ]
        | None
    ) = None
    """Those that are meant; unknown ones are passed over, and what is no id is told."""
    up_to: UUID | None = None
    """This one and all that are older."""
    all: bool = False
    """Whether all are meant."""


class NotMarked(Struct, frozen=True, kw_only=True):
    """One of the ids that is none."""

    index: int
    """Its place in the request, from 0."""
    problem: Mapping[str, Any]
    """Why it was refused: the members of a problem document."""


class Marked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a mark changed, and the counts after it."""

    changed: int
    """How many were not so marked before."""
    unseen: int
    """How many are unseen now."""
    unread: int
    """How many are unread now."""
    refused: list[NotMarked] = []
    """Those of the ids that are none; the others are marked all the same."""


class Arrived(Struct, frozen=True, kw_only=True, tag_field="type", tag="notification"):
    """Published on `user:<id>`: a new notification, and the counts with it."""

    notification: Notification
    """What arrived."""
    unseen: int
    """How many are unseen now."""
    unread: int
    """How many are unread now."""


class Updated(Struct, frozen=True, kw_only=True, tag_field="type", tag="updated"):
    """Published on `user:<id>`: a notification that is there already, in its new words."""

    notification: Notification
    """The notification as it is now."""
    unseen: int
    """How many are unseen now."""
    unread: int
    """How many are unread now."""


class MarksChanged(Struct, frozen=True, kw_only=True, tag_field="type", tag="marks"):
    """Published on `user:<id>`: apply `mark` to `ids`, or to every number up to `up_to`."""

    mark: Mark
    at: datetime
    ids: list[UUID] | None = None
    up_to: int | None = None
    unseen: int
    unread: int


class Removed(Struct, frozen=True, kw_only=True, tag_field="type", tag="removed"):
    """Published on `user:<id>`: these were deleted or have expired."""

    ids: list[UUID]
    unseen: int
    unread: int


class Step(Struct, frozen=True, kw_only=True):
    """One moment of a story; `ms` counts from the event's acceptance."""

    step: str
    """Which moment it is."""
    at: datetime
    """When it was."""
    ms: float
    """Milliseconds from the event's acceptance."""
    says: str
    """What happened, in words."""


class Story(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a notification was sent, or was not."""

    event_id: str
    """The sender's id of the event."""
    notification: UUID
    """The id that its notification has, or would have had."""
    outcome: Literal["pending", "stored", "suppressed", "removed", "dead_lettered"]
    """What became of it so far."""
    says: str
    """The outcome in words."""
    type: str | None = None
    """The type of the event."""
    recipient: str | None = None
    """Whom it was to tell."""
    reason: str | None = None
    """Why it was suppressed or removed: a word that programs can rely on."""
    rule: str | None = None
    """Which preference decided: of the type, of the channel, or the app's default."""
    template: str | None = None
    """The locale of the template that was used."""
    warnings: list[UnknownPerson] = []
    """Whom the event names and nobody is."""
    steps: list[Step] = field(default_factory=list)
    """Every moment that is known, in order."""


class Profile(Shown, Protocol):
    """What the pipeline wants to know about a person."""

    @property
    def locale(self) -> str | None: ...


class Choices(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person chose; what is absent follows the type's, then the app's defaults."""

    channels: Annotated[dict[Name, bool], Meta(max_length=16)] = {}
    """By channel, for all types."""
    types: Annotated[
        dict[Name, Annotated[dict[Name, bool], Meta(max_length=16)]], Meta(max_length=MOST_CHOSEN)
    ] = {}  # one type
    """By type and channel; this decides before `channels`."""
    objects: Annotated[
        dict[Name, Annotated[dict[Name, bool], Meta(max_length=16)]], Meta(max_length=500)
    ] = {}  # one thing
    """By what it is about (`related_entity_id`) and channel; this decides before `types`."""


class Changes(Struct, frozen=True, forbid_unknown_fields=True):
    """Choices to change: true, false, or null to follow the defaults again."""

    channels: Annotated[dict[Name, bool | None], Meta(max_length=16)] | UnsetType = UNSET
    """By channel, for all types."""
    types: (
        Annotated[
            dict[Name, Annotated[dict[Name, bool | None], Meta(max_length=16)] | None],
            Meta(max_length=MOST_CHOSEN),
        ]
        | UnsetType
    ) = UNSET  # one type
    """By type and channel."""
    objects: (
        Annotated[
            dict[Name, Annotated[dict[Name, bool | None], Meta(max_length=16)] | None],
            Meta(max_length=500),
        ]
        | UnsetType
    ) = UNSET  # one thing
    """By what it is about and channel."""


class Preferences(Struct, frozen=True, kw_only=True):
    """A person's choices, and what follows from them."""

    channels: dict[str, bool]
    """What the person chose by channel."""
    types: dict[str, dict[str, bool]]
    """What the person chose by type and channel."""
    objects: dict[str, dict[str, bool]]
    """What the person chose by what it is about and channel."""
    effective: dict[str, dict[str, bool]]
    """For every type and channel, whether it is on."""


class Page(Struct, frozen=True, kw_only=True):
    """Where a list goes on: after (older than) this number."""

    before: Count
