"""Takes events in: reads, refuses or remembers them, and appends them to the log, once."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from nova.backbone import intake
from nova.backbone.database import Database
from nova.features.notifications import bursts
from nova.features.notifications.catalogue import Ready
from nova.features.notifications.events import OWN, EventAccepted
from nova.features.notifications.models import (
    MOST_EVENTS,
    MOST_METADATA,
    CloudEvent,
    Event,
    Result,
    Results,
)
from nova.features.notifications.types import Types, unknown
from nova.kernel.batching import Batcher
from nova.kernel.choices import choices
from nova.kernel.clock import Clock
from nova.kernel.errors import (
    BigMetadata,
    Conflict,
    Invalid,
    Malformed,
    Refused,
    Unavailable,
    problem_of,
)
from nova.kernel.ids import new_id
from nova.kernel.recent import Recent
from nova.web.people import UnknownPerson
from nova.web.people import unknown as unknown_people

EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Of timestamps: in UTC, and in every zone, they are within the years that clients can read."""
FEW = 8
"""With no more events than these, look-ups for the decision go on beside the commit: each waits
for nobody then. More share their look-ups anyway."""
REMEMBERED = 100_000
"""Recipients for whom nothing needs to be looked up ahead, at most."""
WORTH = 200
"""Events that have to wait before they are admitted beside others that are just being admitted."""
MOST_ADMITTED = 2_000
"""Events in one transaction, about: a request is never split."""

_encoder = msgspec.json.Encoder(order="deterministic")
_one = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(list[Event])
_cloud = msgspec.json.Decoder(CloudEvent)
_items = msgspec.json.Decoder(list[Raw])


class _Envelope(Struct):
    """Tells the shapes of a body apart."""

    events: Raw | UnsetType = UNSET
    id: Any = None
    specversion: Any = UNSET


_envelope = msgspec.json.Decoder(_Envelope)


class TooManyEvents(Invalid):
    """A request may have up to 1,000 events."""

    code = "too_many_events"
    hint = "Send the rest in another request; order is kept per recipient."


class NoEvents(Invalid):
    """The request has no event."""

    code = "no_events"


class BadEvent(Invalid):
    """An event is not of the right shape."""

    code = "bad_event"
    hint = (
        "An event is {id, event_type, recipient_id, actor_id, related_entity_id, timestamp, "
        "metadata}, or a CloudEvent whose data has recipient_id."
    )


class ReservedId(Invalid):
    """Ids that begin with `nova:` are reserved for Nova's own events."""

    code = "reserved_id"
    hint = "Give the event another id; a CloudEvent's id begins with its source."


class EventConflict(Conflict):
    """An event with this id, but with another body, was accepted before."""

    code = "event_conflict"
    hint = "The id is the idempotency key: give another event another id."


class Checked(Struct, frozen=True):
    """An event that may be accepted, and what tells it from another one of the same id."""

    event: Event
    metadata: Raw
    digest: bytes


def read(body: bytes) -> tuple[list[Event | Refused], bool]:
    """Return the events of a body, each or its refusal; and whether the body is a list."""
    start = body.lstrip()[:1]
    if start == b"[":
        return _list(body), True
    envelope = _decoded(_envelope, body)
    if envelope.events is not UNSET and envelope.id is None:
        return _list(bytes(envelope.events)), True
    return [_event(body)], False


def _list(body: bytes) -> list[Event | Refused]:
    if b'"specversion"' not in body:
        try:
            return _bounded(_many.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # at least one is bad: read each by itself to tell which
    return [_event(item) for item in _bounded(_decoded(_items, body))]


def _bounded(events: list[Any]) -> list[Any]:
    if len(events) > MOST_EVENTS:
        raise TooManyEvents
    if not events:
        raise NoEvents
    return events


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as wrong:
        says = choices(decoder.type).named(wrong)
        raise BadEvent(f"Expected an event, a list of events or {{events}}: {says}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Malformed(f"The body is not JSON: {wrong}") from None
    except RecursionError:
        raise Malformed("The body is nested too deep.") from None


def _event(item: bytes | Raw) -> Event | Refused:
    decoder: msgspec.json.Decoder[Any] = _one
    try:
        if b'"specversion"' in bytes(item) and _is_cloud(item):
            decoder = _cloud
            return _cloud.decode(item).event()
        return _one.decode(item)
    except msgspec.ValidationError as wrong:
        says = choices(decoder.type).named(wrong)
        return BadEvent(
            says, at=says.partition(" - at ")[2].removeprefix("`key` in ").strip("`") or "$"
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return BadEvent(str(wrong))


def _is_cloud(item: bytes | Raw) -> bool:
    return _envelope.decode(item).specversion is not UNSET


def check(event: Event, types: Mapping[str, Ready]) -> Checked:
    """Return the event ready to accept, or raise what is wrong with it."""
    if event.id.startswith(OWN):
        raise ReservedId(at="$.id")
    if types.get(event.event_type) is None:
        raise unknown(event.event_type, types)
    if event.timestamp is not None and not EARLIEST <= event.timestamp <= LATEST:
        raise BadEvent("The timestamp has to lie within the years 1 to 9999 of UTC.")
    if event.group_key is None:
        event = replace(event, group_key=UNSET)  # its digest is that of an event without one
    metadata = _encoder.encode(event.metadata)
    if len(metadata) > MOST_METADATA:
        raise BigMetadata
    body = _encoder.encode(event)
    if b"\\u0000" in body and _has_nul(msgspec.to_builtins(event)):
        raise BadEvent("A text holds the character U+0000, which no text may.")
    return Checked(event, Raw(metadata), blake2b(body, digest_size=16).digest())


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(_has_nul(each) for each in value)


class Admission(Struct, frozen=True):
    """An event's entry, now or before."""

    id: str
    notification: UUID
    status: Literal["accepted", "duplicate"]


class Foresight(Protocol):
    """Looks up what the decision about events will need, so that it is remembered by then."""

    async def foresee(self, facts: Sequence[EventAccepted]) -> None: ...


class People(Protocol):
    """Who is who."""

    def unremembered(self, references: Collection[str]) -> list[str]:
        """Return those that have to be looked up; almost always none."""

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those that exist, whichever id of theirs was given."""

    async def erased(self, references: Collection[str]) -> Collection[str]:
        """Return those that named somebody who was erased lately, and name nobody now."""


class Ingest:
    """Accepts events: each id once, with its place in the log in the same commit."""

    def __init__(
        self, db: Database, clock: Clock, types: Types, foresight: Foresight, people: People
    ) -> None:
        self._db = db
        self._clock = clock
        self._types = types
        self._foresight = foresight
        self._people = people
        self._foreseeing: set[asyncio.Task[None]] = set()
        self._foreseen: Recent[str, bool] = Recent(REMEMBERED)
        # Full: callers get 503. Two lanes: one transaction is prepared while one commits.
        self._batcher: Batcher[Sequence[Checked], Sequence[Admission | Refused]] = Batcher(
            self._admit, most=200, queue=1_000, lanes=2, worth=WORTH, weigh=len
        )

    async def body(self, body: bytes) -> Results:
        """Accept the events of a request's body; a lone event's refusal is raised."""
        events, is_list = read(body)
        outcomes, strangers = await self._outcomes(events)
        for outcome in outcomes:
            if isinstance(outcome, Refused) and not is_list:
                raise outcome
        return _results(events, outcomes, strangers)

    async def accept(self, events: Sequence[Event | Refused]) -> Results:
        """Accept events; those that are refused keep their place in the results."""
        return _results(events, *await self._outcomes(events))

    async def _outcomes(
        self, events: Sequence[Event | Refused]
    ) -> tuple[Sequence[Admission | Refused], Collection[str]]:
        """Return what became of each, and those named whom nobody knows."""
        types = await self._types.known()
        checked = [_checked(event, types) for event in events]
        good = [each for each in checked if isinstance(each, Checked)]
        new = self._new(good)
        gone = await self._people.erased(new) if new else ()
        kept = [each for each in good if not _names(each.event, gone)]
        taken, strangers = await self._taken(kept, new)
        admissions = iter(taken)
        outcomes = [
            it
            if not isinstance(it, Checked)
            else _unkept(it)
            if _names(it.event, gone)
            else next(admissions)
            for it in checked
        ]
        return outcomes, strangers

    def _new(self, good: Sequence[Checked]) -> list[str]:
        """Return those whom these events name and who are not remembered."""
        references = {each.event.recipient_id for each in good}
        references.update(each.event.actor_id for each in good if each.event.actor_id is not None)
        return self._people.unremembered(references)

    async def _taken(
        self, kept: Sequence[Checked], new: Sequence[str]
    ) -> tuple[Sequence[Admission | Refused], Collection[str]]:
        """Accept events; meanwhile find out who of those named is not known."""
        if not new:
            return (await self._batcher(kept) if kept else ()), ()
        if not kept:
            return (), await self._strangers(new)
        taken, strangers = await asyncio.gather(self._batcher(kept), self._strangers(new))
        return taken, strangers

    async def _strangers(self, references: Sequence[str]) -> Collection[str]:
        """Return those that name nobody; none when they cannot be looked up right now."""
        with suppress(Unavailable):
            return set(references) - (await self._people.resolve(references)).keys()
        return ()

    async def _admit(
        self, requests: list[Sequence[Checked]]
    ) -> Sequence[Sequence[Admission | Refused] | Exception]:
        """Accept requests that came together, with up to about MOST_ADMITTED events a commit."""
        results: list[Sequence[Admission | Refused] | Exception] = []
        for group in _groups(requests):
            items = [item for request in group for item in request]
            try:
                admissions = iter(await self._commit(items))
            except Unavailable as down:
                results += [down for _ in group]
            else:
                results += [[next(admissions) for _ in request] for request in group]
        return results

    async def _commit(self, items: Sequence[Checked]) -> list[Admission | Refused]:
        first: dict[str, Checked] = {}
        for item in items:
            first.setdefault(item.event.id, item)
        at = self._clock.now()
        facts = [_fact(item, at) for item in first.values()]
        offers = [
            intake.Offer(fact.id, item.digest, fact.notification, fact)
            for item, fact in zip(first.values(), facts, strict=True)
        ]
        if len(facts) <= FEW:
            self._foresee([fact for fact in facts if not self._foreseen.get(fact.recipient_id)])
        new = await self._db.take_in(offers, at)
        known: dict[str, intake.Offer | intake.Known] = {offer.id: offer for offer in offers}
        if len(new) < len(offers):
            known |= await intake.known(self._db, [id_ for id_ in known if id_ not in new])
        return [_admission(item, known[item.event.id], new) for item in items]

    def _foresee(self, strangers: Sequence[EventAccepted]) -> None:
        """Have looked up what is not remembered; where that fails, the decision asks again."""
        if strangers:
            task = asyncio.create_task(self._look_ahead(strangers))
            self._foreseeing.add(task)
            task.add_done_callback(self._foreseeing.discard)

    async def _look_ahead(self, strangers: Sequence[EventAccepted]) -> None:
        with suppress(Unavailable):
            await self._foresight.foresee(strangers)
            for fact in strangers:
                self._foreseen.put(fact.recipient_id, True)


def _groups(requests: Sequence[Sequence[Checked]]) -> Iterator[list[Sequence[Checked]]]:
    group: list[Sequence[Checked]] = []
    size = 0
    for request in requests:
        if group and size + len(request) > MOST_ADMITTED:
            yield group
            group, size = [], 0
        group.append(request)
        size += len(request)
    yield group


def _admission(
    item: Checked, known: intake.Offer | intake.Known, new: set[str]
) -> Admission | Refused:
    id_ = item.event.id
    if id_ in new:
        new.discard(id_)  # what follows in the same batch is a duplicate
        return Admission(id_, known.record, "accepted")
    if item.digest == known.digest:
        return Admission(id_, known.record, "duplicate")
    return EventConflict(f"The event '{id_}' was accepted before, with another body.")


def _checked(event: Event | Refused, types: Mapping[str, Ready]) -> Checked | Refused:
    if isinstance(event, Refused):
        return event
    try:
        return check(event, types)
    except Refused as refused:
        return refused


def _fact(item: Checked, at: datetime) -> EventAccepted:
    event = item.event
    return EventAccepted(
        notification=new_id(),
        id=event.id,
        event_type=event.event_type,
        recipient_id=event.recipient_id,
        actor_id=event.actor_id,
        related_entity_id=event.related_entity_id,
        timestamp=event.timestamp or at,
        accepted_at=at,
        metadata=item.metadata,
        burst=bursts.of_app(event.event_type, event.group_key) if event.group_key else None,
    )


def _results(
    events: Sequence[Event | Refused],
    outcomes: Sequence[Admission | Refused],
    strangers: Collection[str],
) -> Results:
    results = [
        _result(index, *pair, strangers)
        for index, pair in enumerate(zip(events, outcomes, strict=True))
    ]
    count = Counter(result.status for result in results)
    return Results(
        accepted=count["accepted"],
        duplicate=count["duplicate"],
        refused=count["refused"],
        results=results,
    )


def _names(event: Event, people: Collection[str]) -> bool:
    return bool(people) and (event.recipient_id in people or event.actor_id in people)


def _unkept(item: Checked) -> Admission:
    """Accept an event from or for somebody who was erased: nobody is told, nothing is kept."""
    return Admission(item.event.id, new_id(), "accepted")


def _result(
    index: int,
    event: Event | Refused,
    outcome: Admission | Refused,
    strangers: Collection[str],
) -> Result:
    id_ = event.id if isinstance(event, Event) else None
    if isinstance(outcome, Admission):
        return Result(
            index=index,
            id=outcome.id,
            status=outcome.status,
            notification=outcome.notification,
            warnings=_warnings(event, strangers) if strangers else [],
        )
    return Result(index=index, id=id_, status="refused", problem=problem_of(outcome))


def _warnings(event: Event | Refused, strangers: Collection[str]) -> list[UnknownPerson]:
    if not isinstance(event, Event):
        return []
    return unknown_people(event.recipient_id, event.actor_id, strangers)
