"""Stories: why a notification was sent, or why it was not, with the milliseconds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from msgspec.structs import replace

from nova.backbone import intake
from nova.features.notifications import store_traces
from nova.features.notifications.bursts import BY_A_STRANGER
from nova.features.notifications.inbox import NoSuchEvent, NoSuchNotification
from nova.features.notifications.models import Step, Story
from nova.kernel.ids import parse_id
from nova.ports.database import Queries, Row
from nova.web.people import UNKNOWN_ACTOR, UNKNOWN_RECIPIENT, UnknownPerson

REASONS = {
    "self_notification": "Nobody is told of what they did themselves.",
    "unknown_recipient": "There was no user with the recipient's id.",
    "unknown_type": "The type was no longer registered.",
    "preference": "The recipient does not want it.",
    "blocked": "The recipient has blocked who did it.",
    "muted": "The recipient has muted who did it.",
    "gone": "What it told of was taken back, or is not for the recipient's eyes.",
    "joined": "It joined a notification that had rung already: a group rings once.",
    "withdrawn": "It was stored; then what it told of was taken back, or is no longer for the "
    "recipient's eyes.",
    "left": "It had joined others or begun with them; then it was taken back, and they went on.",
    "retracted": "It was stored, or had joined a group; then the app took the event back.",
    "deleted": "It was stored; then its recipient deleted it.",
    "expired": "It was stored; then its time was over.",
}
REMOVED = ("deleted", "expired", "retracted", "withdrawn")


class NoSuchStory(NoSuchNotification):
    """There is no such notification, or it is not yours, or its story is forgotten."""

    hint = "Stories of what was removed or suppressed are kept for `notifications.dedupe_days`."


class Failures(Protocol):
    """Asks the log for an event that could not be handled."""

    async def of_fact(self, kind: str, field: str, value: str) -> str | None:
        """Return the error of the dead letter whose fact has this value there, or None."""


class Afterwards(Protocol):
    """What became of a notification outside the app."""

    async def steps(self, notification: UUID) -> Sequence[tuple[str, datetime, str]]:
        """Return name, time and sentence of each moment, in their order."""


class Traces:
    """Tells stories from what the tables hold."""

    def __init__(
        self,
        db: Queries,
        failures: Failures | None = None,
        afterwards: Afterwards | None = None,
    ) -> None:
        self._db = db
        self._failures = failures
        self._afterwards = afterwards

    async def notification(self, id_: UUID, user: UUID | None = None) -> Story:
        """Tell a notification's story; of another `user` it does not exist."""
        row = await self._db.row(store_traces.STORED, id_)
        if row is not None and user in (None, row["user_id"]):
            return await self._continued(_stored(row), row["accepted_at"])
        row = await self._db.row(store_traces.SUPPRESSED, id_)
        mine = row is not None and row["user_id"] == user and row["reason"] in REMOVED
        if row is None or not (user is None or mine):
            raise NoSuchStory
        return await self._continued(_suppressed(row), row["accepted_at"])

    async def _continued(self, story: Story, start: datetime) -> Story:
        """Add what became of it outside the app, in the order of time."""
        if self._afterwards is None:
            return story
        more = _steps(start, await self._afterwards.steps(story.notification))
        steps = sorted([*story.steps, *more], key=lambda step: step.at)
        return replace(story, steps=steps)

    async def event(self, id_: str) -> Story:
        """Tell an event's story by the sender's id of it."""
        accepted = await intake.entry(self._db, id_)
        if accepted is None:
            raise NoSuchEvent
        try:
            return await self.notification(accepted.record)
        except NoSuchNotification:
            return await self._undecided(accepted)

    async def either(self, id_: str) -> Story:
        """Tell the story of a notification's or an event's id."""
        parsed = parse_id(id_)
        if parsed is not None:
            try:
                return await self.notification(parsed)
            except NoSuchNotification:
                pass
        try:
            return await self.event(id_)
        except NoSuchEvent:
            raise NoSuchEvent("No event or notification of this id is remembered.") from None

    async def _undecided(self, accepted: intake.Entry) -> Story:
        at, id_ = accepted.at, accepted.record
        steps = _steps(at, [("accepted", at, "The event was accepted: it is durable.")])
        error = None
        if self._failures is not None:
            error = await self._failures.of_fact("EventAccepted", "notification", str(id_))
        says = (
            "Accepted, and not decided yet: ask again in a moment. If its recipient was erased, no "
            "more is kept of it."
            if error is None
            else f"Handling it failed, and it waits for a replay: {error.splitlines()[0]}"
        )
        return Story(
            event_id=accepted.id,
            notification=id_,
            outcome="pending" if error is None else "dead_lettered",
            says=says,
            steps=steps,
        )


def _stored(row: Row) -> Story:
    warnings = [UNKNOWN_ACTOR] if row["unknown_actor"] else []
    decided = " ".join([f"Wanted, by {row['rule']}.", *(each.message for each in warnings)])
    return Story(
        event_id=row["event_id"],
        notification=row["id"],
        outcome="stored",
        says=f"It is number {row['number']} in its recipient's inbox.",
        type=row["type"],
        recipient=str(row["user_id"]),
        rule=row["rule"],
        template=f"{row['type']}/{row['locale']}",
        warnings=warnings,
        steps=_steps(
            row["accepted_at"],
            [
                ("accepted", row["accepted_at"], "The event was accepted: it is durable."),
                ("read", row["heard_at"], "The pipeline read it from the log."),
                ("decided", row["created_at"], decided),
                ("stored", row["stored_at"], "It was written to the inbox."),
                ("published", row["published_at"], "Committed, and handed to open sockets."),
                ("seen", row["seen_at"], "The recipient saw it."),
                ("read_by_recipient", row["read_at"], "The recipient read it."),
                ("archived", row["archived_at"], "The recipient archived it."),
            ],
        ),
    )


def _why(reason: str) -> str:
    return REASONS.get(reason, reason)


def _suppressed(row: Row) -> Story:
    reason = row["reason"]
    return Story(
        event_id=row["event_id"],
        notification=row["id"],
        outcome="removed" if reason in REMOVED else "suppressed",
        says=_why(reason),
        type=row["type"],
        recipient=row["recipient"],
        reason=reason,
        rule=row["rule"],
        warnings=_warnings(row),
        steps=_steps(
            row["accepted_at"],
            [
                ("accepted", row["accepted_at"], "The event was accepted: it is durable."),
                ("read", row["heard_at"], "The pipeline read it from the log."),
                ("decided", row["decided_at"], f"{_why(reason)} ({row['rule']})"),
                ("stored", row["stored_at"], "The decision was written down."),
            ],
        ),
    )


def _warnings(row: Row) -> list[UnknownPerson]:
    if row["reason"] == UNKNOWN_RECIPIENT.code:
        return [UNKNOWN_RECIPIENT]
    return [UNKNOWN_ACTOR] if row["rule"].endswith(BY_A_STRANGER) else []


def _steps(start: datetime, moments: Sequence[tuple[str, Any, str]]) -> list[Step]:
    return [
        Step(step=step, at=at, ms=round((at - start).total_seconds() * 1000, 3), says=says)
        for step, at, says in moments
        if at is not None
    ]
