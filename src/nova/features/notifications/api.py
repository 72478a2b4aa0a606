"""The routes and rpcs of notifications: parse and answer; nothing is decided here."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Raw, Struct

from nova.backbone.dead_letters import DeadLetter
from nova.feature import Rpc
from nova.features.notifications.catalogue import Kind
from nova.features.notifications.inbox import NoSuchNotification
from nova.features.notifications.models import (
    Changes,
    Choices,
    CloudEvent,
    Counts,
    Event,
    Mark,
    Marked,
    Marking,
    Notification,
    Preferences,
    Results,
    State,
    Story,
)
from nova.features.notifications.service import Notifications
from nova.features.notifications.watching import Funnel, Stretch, Tail, Told
from nova.kernel.errors import Invalid, NoSuchUser, NotFound, Unauthenticated
from nova.kernel.text import Name
from nova.web.actors import ServerKey, User
from nova.web.routes import Call, Paged

EVENTS_BODY = 8 << 20
"""Bytes: 1,000 events with metadata of almost 8 KB each."""

_LIKE = {
    "id": "like-1",
    "event_type": "like",
    "recipient_id": "user-1815",
    "actor_id": "user-1843",
    "related_entity_id": "post-7",
}
_CLOUD = {
    "specversion": "1.0",
    "id": "like-1",
    "source": "/posts/7",
    "type": "like",
    "time": "2026-01-31T09:30:00Z",
    "data": {"recipient_id": "user-1815", "actor_id": "user-1843"},
}
_EITHER = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (Event, CloudEvent)]
_LIST = {
    "type": "array",
    "title": "EventList",
    "description": "Up to 1,000 events, each of either kind.",
    "minItems": 1,
    "maxItems": 1000,
    "items": {"anyOf": _EITHER},
}
_BATCH = {
    "type": "object",
    "title": "EventBatch",
    "description": "A list of events as the member of an object.",
    "required": ["events"],
    "properties": {"events": {**_LIST, "title": "Events"}},
}
Events = Annotated[
    Raw,
    Meta(
        description="One event, a CloudEvents 1.0 envelope in structured JSON, or many of them.",
        examples=[
            {"summary": "event", "value": _LIKE},
            {"summary": "batch", "value": {"events": [_LIKE, {**_LIKE, "id": "like-2"}]}},
            {"summary": "list", "value": [_LIKE, _CLOUD]},
            {"summary": "cloudevent", "value": _CLOUD},
        ],
        extra_json_schema={"anyOf": [*_EITHER, _BATCH, _LIST]},
    ),
]


class Whose(Struct, frozen=True, kw_only=True):
    """Whose inbox; only a server key may and must say so."""

    user: Name | None = None
    """Whose inbox, by either id; for server keys."""


class Listed(Struct, frozen=True, kw_only=True):
    """Which notifications to list."""

    user: Name | None = None
    """Whose, by either id; for server keys."""
    state: State = State.CURRENT
    """Which of them."""
    type: Name | None = None
    """Of this type alone."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    """How many at most; a page looks through 10,000 notifications, and while there is a
    `next_cursor`, it may hold fewer, or none."""
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """What the rpc `notifications.list` takes."""

    state: State = State.CURRENT
    type: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Nothing(Struct, frozen=True):
    """No parameters."""


class Letters(Struct, frozen=True, kw_only=True):
    """Which dead letters to list."""

    consumer: Name | None = None
    """Of this consumer group alone."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Type(Struct, frozen=True, kw_only=True):
    """A type of notification, with its name."""

    name: str
    """Its name."""
    built_in: bool
    """Whether every deployment has it."""
    changed: bool
    """Whether it is not, or no longer, what every deployment has; DELETE goes back to that."""
    kind: Kind
    """Its templates and defaults."""


class Replayed(Struct, frozen=True):
    """How many dead letters were handed to their consumers again."""

    replayed: int
    """How many go through their consumer again."""


class WhoseInbox(Invalid):
    """With a server key, the request has to name the user of the inbox."""

    code = "whose_inbox"
    hint = "Add ?user=<either id of the user>."


class NoSuchLetter(NotFound):
    """There is no such dead letter."""

    code = "no_such_dead_letter"


class Handlers:
    """Answers requests."""

    def __init__(self, notifications: Notifications) -> None:
        self._all = notifications

    async def _whose(self, call: Call[Any, Any]) -> UUID:
        match call.actor:
            case User(id=own):
                if call.query.user in (None, "me", str(own)):
                    return own
                # Nobody else is looked up: the time would tell who is there.
                profile = (await self._all.people.profiles([own])).get(own)
                if profile is not None and call.query.user == profile.external_id:
                    return own
                raise NoSuchUser
            case ServerKey():
                if call.query.user is None:
                    raise WhoseInbox
                return await self._named(call.query.user)
        raise Unauthenticated

    async def _named(self, reference: str) -> UUID:
        found = await self._all.people.resolve([reference])
        if reference not in found:
            raise NoSuchUser
        return found[reference]

    async def events(self, call: Call[Raw, Any]) -> Results:
        return await self._all.ingest.body(bytes(call.body))

    async def tail(self, call: Call[Any, Tail]) -> Paged[Told]:
        return await self._all.watching.tail(call.query)

    async def funnel(self, call: Call[Any, Stretch]) -> Funnel:
        return await self._all.watching.funnel(call.query.hours)

    async def listed(self, call: Call[Any, Listed]) -> Paged[Notification]:
        query = call.query
        return await self._all.inbox.list(
            await self._whose(call),
            state=query.state,
            kind=query.type,
            limit=query.limit,
            cursor=query.cursor,
        )

    async def counts(self, call: Call[Any, Whose]) -> Counts:
        return await self._all.inbox.counts(await self._whose(call))

    async def one(self, call: Call[Any, Whose]) -> Notification:
        return await self._all.inbox.one(
            await self._whose(call), call.id_of("id", NoSuchNotification)
        )

    async def mark(self, call: Call[Marking, Whose]) -> Marked:
        return await self._all.inbox.mark(await self._whose(call), call.body)

    async def mark_one(self, call: Call[Any, Whose]) -> Marked:
        try:
            mark = Mark(call.path["mark"])
        except ValueError:
            raise NotFound(f"There is no such mark; there are {', '.join(Mark)}.") from None
        return await self._all.inbox.mark_one(
            await self._whose(call), call.id_of("id", NoSuchNotification), mark
        )

    async def delete(self, call: Call[Any, Whose]) -> None:
        await self._all.removal.delete(
            await self._whose(call), call.id_of("id", NoSuchNotification)
        )

    async def trace(self, call: Call[Any, Any]) -> Story:
        user = call.actor.id if isinstance(call.actor, User) else None
        return await self._all.traces.notification(call.id_of("id", NoSuchNotification), user)

    async def retract(self, call: Call[Any, Any]) -> None:
        await self._all.retraction.retract(call.path["id"])

    async def event_trace(self, call: Call[Any, Any]) -> Story:
        return await self._all.traces.event(call.path["id"])

    async def preferences(self, call: Call[Any, Any]) -> Preferences:
        return await self._all.preferences.get(call.subject())

    async def put_preferences(self, call: Call[Choices, Any]) -> Preferences:
        return await self._all.preferences.put(call.subject(), call.body)

    async def patch_preferences(self, call: Call[Changes, Any]) -> Preferences:
        return await self._all.preferences.patch(call.subject(), call.body)

    async def types(self, _call: Call[Any, Any]) -> list[Type]:
        known = await self._all.types.known()
        return [self._type(name, ready.kind) for name, ready in sorted(known.items())]

    async def type(self, call: Call[Any, Any]) -> Type:
        name = call.path["name"]
        return self._type(name, (await self._all.types.get(name)).kind)

    async def put_type(self, call: Call[Kind, Any]) -> Type:
        name = call.path["name"]
        return self._type(name, (await self._all.types.put(name, call.body)).kind)

    async def delete_type(self, call: Call[Any, Any]) -> None:
        await self._all.types.delete(call.path["name"])

    def _type(self, name: str, kind: Kind) -> Type:
        types = self._all.types
        return Type(
            name=name,
            built_in=types.is_built_in(name),
            changed=types.is_changed(name, kind),
            kind=kind,
        )

    async def letters(self, call: Call[Any, Letters]) -> Paged[DeadLetter]:
        if self._all.dead_letters is None:
            return Paged([])
        found = await self._all.dead_letters.list(
            consumer=call.query.consumer, limit=call.query.limit
        )
        return Paged(list(found))

    async def replay(self, call: Call[Any, Any]) -> Replayed:
        number = call.path["id"]
        if self._all.dead_letters is None or not (number.isascii() and number.isdigit()):
            raise NoSuchLetter
        if len(number) > 18:  # noqa: PLR2004  # digits that surely fit 64 bits
            raise NoSuchLetter
        replayed = await self._all.dead_letters.replay(numbers=[int(number)])
        if not replayed:
            raise NoSuchLetter
        return Replayed(replayed)


def rpcs(notifications: Notifications) -> Sequence[Rpc]:
    inbox = notifications.inbox

    async def listed(user: User, asked: Asked) -> Paged[Notification]:
        return await inbox.list(
            user.id, state=asked.state, kind=asked.type, limit=asked.limit, cursor=asked.cursor
        )

    async def counts(user: User, _nothing: Nothing) -> Counts:
        return await inbox.counts(user.id)

    async def mark(user: User, marking: Marking) -> Marked:
        return await inbox.mark(user.id, marking)

    return (
        Rpc(
            method="notifications.list",
            params=Asked,
            returns=Paged[Notification],
            handler=listed,
            summary="List your notifications, newest first",
        ),
        Rpc(
            method="notifications.counts",
            params=Nothing,
            returns=Counts,
            handler=counts,
            summary="Count your unseen and unread notifications",
        ),
        Rpc(
            method="notifications.mark",
            params=Marking,
            returns=Marked,
            handler=mark,
            summary="Mark your notifications",
        ),
    )
