"""Users, devices and keys, as they come in and go out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from nova.kernel.text import Name, spelled
from nova.kernel.urls import Url

_PRINTABLE = spelled(r"\A[^\x00-\x1f\x7f]*\Z", "text without control characters")

ExternalId = Annotated[
    str, Meta(min_length=1, max_length=128, description="The app's own id."), _PRINTABLE
]
DisplayName = Annotated[str, Meta(max_length=128), _PRINTABLE]
Locale = Annotated[str, Meta(max_length=35, description="BCP 47, as in `pt-BR`.")]
Timezone = Annotated[str, Meta(max_length=64, description="IANA, as in `Europe/Lisbon`.")]
Token = Annotated[
    str,
    Meta(min_length=1, max_length=4096),
    spelled(r"\A[!-~]+\Z", "a token as the system gave it: ASCII without spaces"),
]
Key = Annotated[
    str,
    Meta(min_length=1, max_length=256),
    spelled(r"\A[A-Za-z0-9_+/=-]+\Z", "base64url: letters, digits, -, _ and ="),
]
Reference = Annotated[str, Meta(min_length=1, max_length=128, description="Either id of a user.")]
Platform: TypeAlias = Literal["ios", "android", "web"]

Email = Annotated[
    str,
    Meta(max_length=254),
    spelled(
        r"\A([^\x00-\x20\x7f<>,;@]+@[^\x00-\x20\x7f<>,;@]+)?\Z",
        "an address such as ada@example.org",
    ),
]

DEFAULT_LOCALE = "en"
DEFAULT_TIMEZONE = "UTC"


class Fields(Struct, kw_only=True):
    """What may be said about a user; what is left out stays, null clears."""

    name: DisplayName | UnsetType | None = UNSET
    """The name that others see, up to 128 characters."""
    avatar_url: Url | UnsetType | None = UNSET
    """Address of a picture, http or https."""
    locale: Locale | UnsetType | None = UNSET
    """Language of what Nova writes to the user."""
    timezone: Timezone | UnsetType | None = UNSET
    """Zone of quiet hours and digests."""
    profile: dict[str, Any] | UnsetType | None = UNSET
    """The app's own fields: up to 8 KB of JSON, nested up to 8 deep."""
    email: Email | UnsetType | None = UNSET
    """Where mail goes. Nova does not verify it, so it takes a server key."""


class NewUser(Fields, kw_only=True, forbid_unknown_fields=True):
    """A user to create."""

    external_id: ExternalId | None = None
    """The app's own id; unique."""


class Upsert(Fields, kw_only=True, forbid_unknown_fields=True):
    """A user to create or update, by the app's own id."""

    external_id: ExternalId
    """The app's own id, by which the user is found or made."""


class Upserts(Struct, forbid_unknown_fields=True):
    """Up to 1,000 users."""

    users: Annotated[list[Upsert], Meta(min_length=1, max_length=1000)]
    """What to create or update, in this order."""


class Change(Fields, kw_only=True, forbid_unknown_fields=True):
    """A change of a user. `external_id`, `email` and `suspended` take a server key."""

    external_id: ExternalId | UnsetType | None = UNSET
    """A new id of the app's own; unique."""
    suspended: bool | UnsetType = UNSET
    """Whether the user is shut out: tokens stop to work, and open sockets are closed."""


class Written(Struct, frozen=True, kw_only=True):
    """A user's fields as they go to the database: None keeps, empty clears."""

    external_id: str | None
    name: str | None
    avatar_url: str | None
    locale: str | None
    timezone: str | None
    profile: str | None
    email: str | None = None


class User(Struct, frozen=True, kw_only=True):
    """A user."""

    id: UUID
    """Nova's id."""
    external_id: str | None
    """The app's own id, if it gave one."""
    name: str
    """The name that others see."""
    avatar_url: str | None
    """Address of a picture."""
    locale: str
    """Language of what Nova writes to the user (BCP 47)."""
    timezone: str
    """Zone of quiet hours and digests (IANA)."""
    profile: dict[str, Any]
    """The app's own fields."""
    email: str | None
    """Where mail goes; absent for everybody but server keys and the user."""
    suspended: bool
    """Whether the user is shut out."""
    created_at: datetime
    """When the user was made."""
    updated_at: datetime
    """When something of the user changed last."""


class Upserted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item."""

    index: int
    """Its place in the request, from 0."""
    external_id: str | None
    """Which user it is about."""
    status: Literal["created", "updated", "unchanged", "refused"]
    """What was done."""
    id: UUID | None = None
    """Nova's id of the user; absent when the item was refused."""
    problem: Mapping[str, Any] | None = None
    """Of an item that was refused: status, code, detail, hint, and where in the item (`at`)."""


class UpsertResults(Struct, frozen=True):
    """What became of each item, in their order."""

    results: list[Upserted]
    """One result for each item, in the order of the request."""


class Erasure(Struct, frozen=True, kw_only=True):
    """How far the erasure of a person is."""

    requested_at: datetime
    """When it was asked for."""
    erased_at: datetime | None
    """When the user, and all that is theirs, was gone; null while much of it is taken away."""
    complete_at: datetime | None
    """When nothing was left that others' data, logs and histories held of them."""


class Profile(Struct, frozen=True, kw_only=True):
    """What other rooms know of a user."""

    id: UUID
    external_id: str | None
    name: str
    avatar_url: str | None
    locale: str
    timezone: str
    suspended: bool
    tokens_after: float
    """Tokens issued before this time (seconds since 1970) are revoked."""


class SubscriptionKeys(Struct, frozen=True):
    """The keys of a Web Push subscription (RFC 8291)."""

    p256dh: Key
    """The browser's public key: a point on P-256, in base64url."""
    auth: Key
    """The browser's secret of 16 bytes, in base64url."""


class WebSubscription(Struct, frozen=True, rename="camel"):
    """A PushSubscription, as `JSON.stringify` writes it in the browser."""

    endpoint: Annotated[
        str,
        Meta(max_length=2048),
        spelled(
            r"\A[Hh][Tt][Tt][Pp][Ss]://[^\x00-\x20\x7f]+\Z", "an address that begins with https://"
        ),
    ]
    """Address of the browser's push service."""
    keys: SubscriptionKeys
    """What messages are encrypted with."""
    expiration_time: Annotated[float, Meta(ge=0, le=1e16)] | None = None
    """When the browser ends the subscription, in milliseconds since 1970."""


class NewDevice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device to register: `token` for ios and android, `subscription` for web."""

    platform: Platform
    """Which push service takes its messages."""
    token: Token | None = None
    """The push token of an ios or android device."""
    subscription: WebSubscription | None = None
    """The push subscription of a browser."""
    app: Name = "default"
    """The app on the device, for people with several of yours."""
    locale: Locale | None = None
    """Language on this device; the user's own when absent."""
    topic: Name | None = None
    """The bundle id of an ios app; `app` when absent."""
    environment: Literal["production", "sandbox"] | None = None
    """Which of Apple's two gateways made an ios token."""


class Device(Struct, frozen=True, kw_only=True):
    """A device that takes pushes."""

    id: UUID
    """Nova's id."""
    platform: Platform
    """Which push service takes its messages."""
    app: str
    """The app on the device."""
    token: str
    """The push token, or the endpoint of a Web Push subscription."""
    locale: str | None
    """Language on this device; the user's own when absent."""
    topic: str | None
    """The bundle id of an ios app; `app` when absent."""
    environment: Literal["production", "sandbox"] | None
    """Which of Apple's two gateways made an ios token."""
    created_at: datetime
    """When it was registered first."""
    seen_at: datetime
    """When it was registered last."""
    dead_at: datetime | None = None
    """When its provider said that it is gone."""
    dead_reason: str | None = None
    """The provider's word when it said that the token is dead; registering again revives it."""


class Devices(Struct, frozen=True):
    """A user's devices, the one seen last first."""

    data: list[Device]
    """The devices."""


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A server key to create."""

    name: Name
    """What it is for, for those who look after the keys."""


class KeyInfo(Struct, frozen=True, kw_only=True):
    """A server key, without its secret."""

    id: UUID
    """Names the key when it is to be deleted."""
    name: str
    """What it is for."""
    prefix: str | None
    """Its first characters, to tell which it is; absent of keys that are older than this field."""
    created_at: datetime
    """When it was made."""
    used_at: datetime | None
    """When it was used last, within a minute; absent if never since Nova notes it."""


class CreatedKey(KeyInfo, frozen=True, kw_only=True):
    """A new server key; its secret is shown this once."""

    secret: str
    """The key itself, `nova_sk_…`; it cannot be read again."""


class KeyList(Struct, frozen=True):
    """All server keys, the oldest first."""

    data: list[KeyInfo]
    """The keys."""


class NewToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to sign for a user."""

    user: Reference
    """For whom, by either id."""
    lifetime_s: Annotated[int, Meta(ge=1, le=30 * 86400)] = 3600
    """Seconds until it expires."""
    device: Name | None = None
    """Names the device that uses it, so that acknowledgements are kept apart by device."""
    channel: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    """Makes it a subscription token for this channel."""


class Minted(Struct, frozen=True, kw_only=True):
    """A signed token."""

    token: str
    """The token, to be sent as `Authorization: Bearer …` or with `connect`."""
    user: UUID
    """Nova's id of the user."""
    jti: str
    """The token's own id, by which it can be revoked."""
    expires_at: datetime
    """When it expires."""


class Revocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to revoke: one token by its `jti` or as it is, or all of a user issued until now."""

    jti: Name | None = None
    """The id of one token."""
    token: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None
    """One token as it is."""
    user: Reference | None = None
    """A user, by either id: all tokens issued until now."""


class Export(Struct, frozen=True, kw_only=True):
    """Everything that Nova holds about a user, by feature."""

    user: UUID
    """Nova's id of the user."""
    exported_at: datetime
    """When the copy was made."""
    data: dict[str, Any]
    """By feature, everything that it holds."""


class Death(Protocol):
    """A provider's word that an address is gone."""

    @property
    def user(self) -> UUID: ...
    @property
    def device(self) -> UUID | None:
        """None: the user's mailbox."""

    @property
    def address(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def at(self) -> datetime:
        """A registration after this time is not meant."""
