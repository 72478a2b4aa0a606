"""Quiet hours of people: kept, remembered, and tried out."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from nova.backbone.database import Database, Tx
from nova.features.deliveries import quiet, store_quiet_hours
from nova.features.deliveries.asks import People
from nova.features.deliveries.models import Channel
from nova.features.deliveries.quiet import Schedule, Segment
from nova.kernel.clock import Clock
from nova.kernel.errors import Invalid
from nova.kernel.recent import Changes, Recent

SIGNAL = "quiet"
LONGEST_SNOOZE = timedelta(days=366)
_YEARS = range(1900, 2201)


_schedule = msgspec.json.Decoder(Schedule)


class UnknownZone(Invalid):
    """A time zone is an IANA name, as in 'Europe/Lisbon'."""

    code = "unknown_timezone"


class AlwaysQuiet(Invalid):
    """These quiet hours never end, so nothing would ever be sent."""

    code = "always_quiet"
    hint = "To get no more push or mail at all, turn the channel off: PATCH /v1/preferences."


class FarSnooze(Invalid):
    """A snooze has to end within a year."""

    code = "snooze_too_long"
    hint = "To get no more push or mail at all, turn the channel off: PATCH /v1/preferences."


class FarTime(Invalid):
    """A time has to be within the years 1900 to 2200."""

    code = "time_out_of_range"


class QuietHours(Struct, frozen=True, kw_only=True):
    """A person's quiet hours, and what they mean for the next day."""

    schedule: Schedule | None
    """What the person chose; absent if nothing."""
    timezone: str
    """The zone that counts (IANA)."""
    quiet: bool
    """Whether it is quiet now."""
    release_at: datetime | None
    """When what is held now goes out."""
    local_time: str
    """What the person's clock shows now."""
    ribbon: list[Segment]
    """The next 24 hours, without gaps."""


class Trial(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to try out: another schedule, another time."""

    schedule: Schedule | None = None
    """The person's own when absent."""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    """The time to try out; now when absent."""
    channel: Channel = "push"
    """The channel to try out."""


class _Seen(Struct, frozen=True):
    mark: int
    schedule: Schedule | None


class QuietBook:
    """Everybody's quiet hours. `forget` is to be called with the signal `quiet`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        people: People,
        *,
        zones: Collection[str],
        remembered: int = 100_000,
    ) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._zones = zones
        self._seen: Recent[UUID, _Seen] = Recent(remembered)
        self._changes: Changes[UUID] = Changes(remembered)

    def forget(self, payload: str | None) -> None:
        if payload is None:
            self._changes.everything()
        else:
            self._changes.add(UUID(payload))

    async def of(self, users: Sequence[UUID]) -> Mapping[UUID, Schedule | None]:
        """Return each one's schedule, almost always from memory."""
        found: dict[UUID, Schedule | None] = {}
        missing = []
        for user in users:
            seen = self._seen.get(user)
            if seen is None or self._changes.since(seen.mark, user):
                missing.append(user)
            else:
                found[user] = seen.schedule
        if missing:
            mark = self._changes.mark()
            rows = await self._db.fetch(store_quiet_hours.MANY, missing)
            known = {row["user_id"]: _schedule.decode(row["schedule"]) for row in rows}
            for user in missing:
                found[user] = known.get(user)
                self._seen.put(user, _Seen(mark, found[user]))
        return found

    async def get(self, user: UUID) -> QuietHours:
        return await self.simulate(user, Trial())

    async def put(self, user: UUID, schedule: Schedule) -> QuietHours:
        """Replace a person's quiet hours; what is held is looked at anew."""
        self._check(schedule, await self._zone(user, schedule))
        async with self._db.transaction() as tx:
            text = msgspec.json.encode(schedule).decode()
            await tx.run(store_quiet_hours.SAVE, user, text, self._clock.now())
            await self._changed(tx, user)
        return await self.get(user)

    async def remove(self, user: UUID) -> None:
        async with self._db.transaction() as tx:
            await tx.run(store_quiet_hours.REMOVE, user)
            await self._changed(tx, user)

    async def simulate(self, user: UUID, trial: Trial) -> QuietHours:
        """Tell what quiet hours mean at some time; nothing is changed."""
        if trial.schedule is not None:
            self._check_snooze(trial.schedule)
        schedule = trial.schedule or (await self.of([user]))[user]
        at = within_reason(trial.at or self._clock.now()).astimezone(UTC)
        zone_name = await self._zone(user, schedule)
        zone = quiet.zone_of(zone_name)
        held = schedule or Schedule()
        if trial.channel not in held.channels:
            held = Schedule()
        return QuietHours(
            schedule=schedule,
            timezone=zone_name,
            quiet=quiet.covers(held, zone, at),
            release_at=quiet.release(held, zone, at) if quiet.covers(held, zone, at) else None,
            local_time=at.astimezone(zone).isoformat(timespec="seconds"),
            ribbon=quiet.ribbon(held, zone, at),
        )

    async def erase(self, tx: Tx, user: UUID) -> None:
        await tx.run(store_quiet_hours.REMOVE, user)
        tx.signal(SIGNAL, str(user))

    def _check_snooze(self, schedule: Schedule) -> None:
        until = schedule.snooze_until
        if until is not None and until > self._clock.now() + LONGEST_SNOOZE:
            raise FarSnooze

    def _check(self, schedule: Schedule, zone: str) -> None:
        self._check_snooze(schedule)
        if quiet.release(schedule, quiet.zone_of(zone), self._clock.now()) is None:
            raise AlwaysQuiet

    async def _zone(self, user: UUID, schedule: Schedule | None) -> str:
        given = schedule.timezone if schedule is not None else None
        if given is None:
            profile = (await self._people.profiles([user])).get(user)
            return profile.timezone if profile is not None else "UTC"
        if given not in self._zones:
            raise UnknownZone
        return given

    async def _changed(self, tx: Tx, user: UUID) -> None:
        await tx.run(store_quiet_hours.RELEASE, user, self._clock.now())
        tx.signal(SIGNAL, str(user))
        tx.after_commit(lambda: self.forget(str(user)))


def within_reason(at: datetime) -> datetime:
    """Return a time that leaves room for calculations on either side; raises FarTime."""
    if at.year not in _YEARS:
        raise FarTime
    return at
