"""Webhooks out, as Standard Webhooks has it: signed, retried, and stopped by a 410.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from nova.backbone.database import Database, Tx
from nova.features.deliveries import store, store_webhooks
from nova.features.deliveries.asks import People
from nova.features.deliveries.events import DeliveryEnded
from nova.features.deliveries.models import Claimed, New
from nova.features.deliveries.rules import DAY_S, HOUR_S, Patience
from nova.kernel.clock import Clock
from nova.kernel.errors import Invalid, NotFound
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from nova.ports.carriers import Outcome, Verdict
from nova.ports.database import Row
from nova.ports.hooks import Hooks
from nova.web.people import shown

SIGNAL = "webhooks"
LANE = "hook"
CHANNEL = "webhook"
MOST = 50
SECRET_BYTES = 32
AT_ONCE = 8
"""Calls under way to one webhook, in one process."""

PATIENCE = Patience(
    first_s=5.0,
    range_s=30.0,
    longest_s=4 * HOUR_S,
    give_up_s=3 * DAY_S,
    attempts=30,
    ttl_s=3 * DAY_S,
    timeout_s=15.0,
    asked_s=60.0,
    transient=("429",),
)

WebhookEvent: TypeAlias = Literal[
    "delivery.sent",
    "delivery.delivered",
    "delivery.opened",
    "delivery.failed",
    "delivery.dead",
    "delivery.dropped",
]


NAMED = {"recipient": "user", "actor": "actor_id"}
"""People as they are shown, by the member of a call's data that has their id."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class NewWebhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address to be told of deliveries."""

    url: Annotated[str, Meta(min_length=1, max_length=2_048)]
    """Address that is called: https, and reachable from the server."""
    events: Annotated[list[WebhookEvent], Meta(max_length=6)] = []
    """Which ones; all when empty."""


class WebhookChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change about a webhook; what is left out stays, and so does its secret."""

    url: Annotated[str, Meta(min_length=1, max_length=2_048)] | UnsetType = UNSET
    """Address that is called from now on."""
    events: Annotated[list[WebhookEvent], Meta(max_length=6)] | UnsetType = UNSET
    """Which ones; all when empty."""


class Webhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address that is told of deliveries."""

    id: UUID
    """Names the webhook."""
    url: str
    """Address that is called."""
    events: list[str]
    """Which events it is told; all when empty."""
    made_at: datetime
    """When it was made."""
    disabled_at: datetime | None = None
    """When Nova stopped to call it."""
    disabled_why: str | None = None
    """Why Nova stopped to call it."""


class CreatedWebhook(Struct, frozen=True, kw_only=True):
    """A new webhook; its secret is shown this once."""

    webhook: Webhook
    """The webhook."""
    secret: str
    """`whsec_…`, as the libraries of Standard Webhooks take it."""


class WebhookList(Struct, frozen=True):
    """All webhooks, the oldest first."""

    data: list[Webhook]
    """The webhooks."""


class TooManyWebhooks(Invalid):
    """A deployment may have up to 50 webhooks."""

    code = "too_many_webhooks"


class NoSuchWebhook(NotFound):
    """There is no such webhook."""

    code = "no_such_webhook"


class _Known(Struct, frozen=True):
    webhook: Webhook
    secret: bytes


class Webhooks:
    """Who is told of deliveries. `forget` is to be called with the signal `webhooks`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        hooks: Hooks,
        people: People,
        *,
        rings: Callable[[str], None],
    ) -> None:
        self._db = db
        self._people = people
        self._clock = clock
        self._hooks = hooks
        self._rings = rings
        self._known: Mapping[UUID, _Known] | None = None
        self._forgotten = 0

    def forget(self, _payload: str | None) -> None:
        self._known = None
        self._forgotten += 1

    async def wanted(self) -> bool:
        """Tell whether anybody wants to hear of deliveries."""
        return any(each.webhook.disabled_at is None for each in (await self._all()).values())

    async def ids(self) -> Collection[UUID]:
        """Return those that there are, disabled ones included."""
        return (await self._all()).keys()

    async def list(self) -> WebhookList:
        return WebhookList([_webhook(row) for row in await self._db.fetch(store_webhooks.ALL)])

    async def add(self, new: NewWebhook) -> CreatedWebhook:
        url = self._hooks.check(new.url)
        secret = secrets.token_bytes(SECRET_BYTES)
        async with self._db.transaction() as tx:
            row = await tx.row(
                store_webhooks.ADD, new_id(), url, secret, new.events, self._clock.now(), MOST
            )
            if row is None:
                raise TooManyWebhooks
            self._changed(tx)
        return CreatedWebhook(webhook=_webhook(row), secret=_shown(secret))

    async def change(self, id_: UUID, change: WebhookChange) -> Webhook:
        url = None if change.url is UNSET else self._hooks.check(change.url)
        events = None if change.events is UNSET else change.events
        async with self._db.transaction() as tx:
            row = await tx.row(store_webhooks.CHANGE, id_, url, events)
            if row is None:
                raise NoSuchWebhook
            if url is not None:
                await tx.run(store_webhooks.READDRESS, id_, url, self._clock.now())
                tx.after_commit(lambda: self._rings(LANE))
            self._changed(tx)
        return _webhook(row)

    async def remove(self, id_: UUID) -> None:
        async with self._db.transaction() as tx:
            if not await tx.run(store_webhooks.REMOVE, id_):
                raise NoSuchWebhook
            await tx.run(store_webhooks.DROP, id_)
            self._changed(tx)

    async def enable(self, id_: UUID) -> Webhook:
        """Tell a webhook again that was disabled by its own 410."""
        async with self._db.transaction() as tx:
            row = await tx.row(store_webhooks.ENABLE, id_)
            if row is None:
                raise NoSuchWebhook
            self._changed(tx)
        return _webhook(row)

    async def test(self, id_: UUID) -> UUID:
        """Send a webhook something that means nothing; return the delivery's id."""
        known = (await self._all()).get(id_)
        if known is None:
            raise NoSuchWebhook
        row = self._call(known.webhook, "webhook.test", new_id(), id_, {"webhook": str(id_)})
        async with self._db.transaction() as tx:
            await store.add(tx, [row])
            tx.after_commit(lambda: self._rings(LANE))
        return row.id

    async def ended(self, tx: Tx, heard: Sequence[Heard[DeliveryEnded]]) -> None:
        """Write a call for each webhook that wants to hear of it."""
        everybody = [each.webhook for each in (await self._all()).values()]
        rows = []
        for each in heard:
            name = event_name(each.fact)
            about = {field: getattr(each.fact, field) for field in each.fact.__struct_fields__}
            for webhook in everybody:
                if webhook.disabled_at is None and (not webhook.events or name in webhook.events):
                    rows.append(self._call(webhook, name, each.id, each.fact.user, about))  # noqa: PERF401
        added = await store.add(tx, rows)
        if added:
            tx.after_commit(lambda: self._rings(LANE))

    async def post(self, one: Claimed) -> Outcome:
        """Call a webhook once, signed for this attempt."""
        known = (await self._all()).get(one.device or one.user)
        if known is None or known.webhook.disabled_at is not None:
            return Outcome(Verdict.REFUSED, "disabled", "It is disabled.", None, None, None)
        body = await self._named(one.body.encode())
        headers = signed(known.secret, str(one.id), self._clock.now(), body)
        outcome = await self._hooks.post(known.webhook.url, headers, body)
        if outcome.verdict is Verdict.GONE:
            await self._disable(known.webhook.id, "It answered 410: it wants no more.")
        return outcome

    async def _named(self, body: bytes) -> bytes:
        """Return a body that names people, too: as they are called now, those who are there.

        Names come with each attempt, so that what waits holds nothing that an erasure has to find.
        """
        told = _decode(body)
        named = {field: told["data"].get(key) for field, key in NAMED.items()}
        users = {user: UUID(user) for user in named.values() if user is not None}
        if not users:
            return body
        profiles = await self._people.profiles(list(users.values()))
        found = {
            field: person
            for field, user in named.items()
            if user is not None and (person := shown(profiles.get(users[user]))) is not None
        }
        return msgspec.json.encode(told | {"data": told["data"] | found})

    async def _disable(self, id_: UUID, why: str) -> None:
        async with self._db.transaction() as tx:
            await tx.run(store_webhooks.DISABLE, id_, self._clock.now(), why)
            self._changed(tx)

    def _changed(self, tx: Tx) -> None:
        tx.signal(SIGNAL, "")
        tx.after_commit(lambda: self.forget(None))

    async def _all(self) -> Mapping[UUID, _Known]:
        if self._known is not None:
            return self._known
        forgotten = self._forgotten
        rows = await self._db.fetch(store_webhooks.ALL)
        known = {row["id"]: _Known(_webhook(row), bytes(row["secret"])) for row in rows}
        if forgotten == self._forgotten:
            self._known = known
        return known

    def _call(
        self, webhook: Webhook, name: str, about: UUID, user: UUID, data: Mapping[str, Any]
    ) -> New:
        now = self._clock.now()
        body = {"type": name, "timestamp": now, "data": data}
        id_ = new_id()
        return New(
            id=id_,
            notification=about,
            kind=name,
            user=user,
            number=0,
            type=name,
            channel=CHANNEL,
            lane=LANE,
            target=webhook.id,
            address=webhook.url,
            title=name,
            body=msgspec.json.encode(body).decode(),
            collapse_id=id_.hex,
            made_at=now,
            expires_at=now + timedelta(seconds=PATIENCE.ttl_s),
            phase="waiting",
            due=now,
        )


def event_name(fact: DeliveryEnded) -> str:
    """Return what a webhook calls it."""
    if fact.phase == "done":
        return f"delivery.{fact.status}"
    return f"delivery.{fact.phase}"


def signed(secret: bytes, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent a body, and when."""
    seconds = str(int(at.timestamp()))
    signature = hmac.digest(secret, b".".join((id_.encode(), seconds.encode(), body)), "sha256")
    return {
        "webhook-id": id_,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(signature).decode()}",
    }


def _shown(secret: bytes) -> str:
    return "whsec_" + b64encode(secret).decode()


def _webhook(row: Row) -> Webhook:
    names = ("id", "url", "made_at", "disabled_at", "disabled_why")
    return Webhook(**{name: row[name] for name in names}, events=list(row["events"]))
