"""Quiet hours, purely: by the clock on the wall of the person's own zone."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from nova.features.deliveries.models import CHANNELS, Channel
from nova.kernel.text import spelled

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Wall = Annotated[str, spelled(r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z", "a time such as 22:00")]
"""A time of day, HH:MM."""

HORIZON_DAYS = 8
"""A week and a day: who is not released within that, never is."""


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """Quiet from one time of day to another; over midnight into the next day when `to` is earlier.

    The same time twice is a whole day.
    """

    start: Wall
    """Time of day at which it begins, as in `22:00`."""
    end: Wall
    """Time of day at which it ends, as in `07:00`."""


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a person wants to be left alone."""

    days: Annotated[
        dict[Weekday, Annotated[list[Window], Meta(max_length=8)]], Meta(max_length=7)
    ] = {}
    """By the weekday on which a window begins."""
    timezone: Annotated[str, Meta(max_length=64)] | None = None
    """IANA; the user's own zone when absent."""
    channels: Annotated[list[Channel], Meta(max_length=3)] = field(
        default_factory=lambda: list(CHANNELS)
    )
    """What is held; the inbox never is."""
    snooze_until: Annotated[datetime, Meta(tz=True)] | None = None
    """Quiet until then, whatever the time of day."""


class Segment(Struct, frozen=True, kw_only=True):
    """A stretch of time that is all quiet, or not at all."""

    start: datetime
    """When it begins."""
    end: datetime
    """When it ends."""
    quiet: bool
    """Whether pushes are held in it."""
    wall_start: str
    """Local time, with its offset from UTC."""
    wall_end: str
    """Local time at its end, with its offset from UTC."""


def covers(schedule: Schedule, zone: ZoneInfo, at: datetime) -> bool:
    """Return whether it is quiet: whether the wall clock shows a time within a window.

    So an hour that DST repeats is quiet both times, and one that it skips never comes.
    """
    if schedule.snooze_until is not None and at < schedule.snooze_until:
        return True
    wall = at.astimezone(zone)
    today, yesterday = wall.weekday(), (wall.weekday() - 1) % 7
    minute = wall.hour * 60 + wall.minute
    for start, end in _windows(schedule, today):
        if start <= minute < end:
            return True
    return any(minute < end - _DAY for _, end in _windows(schedule, yesterday) if end > _DAY)


def release(schedule: Schedule, zone: ZoneInfo, at: datetime) -> datetime | None:
    """Return the first moment from `at` on that is not quiet; None if there is none in a week."""
    if not covers(schedule, zone, at):
        return at
    start = at
    if schedule.snooze_until is not None and start < schedule.snooze_until:
        start = schedule.snooze_until.astimezone(UTC)
        if not covers(schedule, zone, start):
            return start
    for moment in _turns(schedule, zone, start, start + timedelta(days=HORIZON_DAYS)):
        if not covers(schedule, zone, moment):
            return moment
    return None


def ribbon(schedule: Schedule, zone: ZoneInfo, at: datetime, hours: int = 24) -> list[Segment]:
    """Return the next hours as stretches that are quiet or not, without gaps."""
    until = at + timedelta(hours=hours)
    marks = [at, *_turns(schedule, zone, at, until), until]
    if schedule.snooze_until is not None and at < schedule.snooze_until < until:
        marks = sorted({*marks, schedule.snooze_until.astimezone(UTC)})
    pieces: list[tuple[datetime, datetime, bool]] = []
    for begin, end in pairwise(marks):
        quiet = covers(schedule, zone, begin)
        if pieces and pieces[-1][2] == quiet:
            pieces[-1] = (pieces[-1][0], end, quiet)
        elif begin < end:
            pieces.append((begin, end, quiet))
    return [
        Segment(
            start=begin,
            end=end,
            quiet=quiet,
            wall_start=begin.astimezone(zone).isoformat(timespec="minutes"),
            wall_end=end.astimezone(zone).isoformat(timespec="minutes"),
        )
        for begin, end, quiet in pieces
    ]


def moments(zone: ZoneInfo, wall: datetime) -> list[datetime]:
    """Return when a wall clock shows that (naive) time, in UTC: once, or twice.

    If it skips that time, return the moment of the jump.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [first]
    if first < second:
        return [first, second]
    return [_jump(zone, second, first)]  # in a gap, folds mean the offsets on either side (PEP 495)


_DAY = 24 * 60


def _windows(schedule: Schedule, weekday: int) -> Iterator[tuple[int, int]]:
    """Yield the windows that begin on a weekday in minutes, beyond midnight above 1440."""
    for window in schedule.days.get(WEEK[weekday], ()):
        start, end = _minutes(window.start), _minutes(window.end)
        yield start, end if end > start else end + _DAY


@lru_cache(maxsize=1_440)
def _minutes(wall: str) -> int:
    return int(wall[:2]) * 60 + int(wall[3:])


def _turns(
    schedule: Schedule, zone: ZoneInfo, start: datetime, end: datetime
) -> Sequence[datetime]:
    """Return, in order, every moment at which quiet may begin or end."""
    found = set(jumps(zone, start, end))
    day = start.astimezone(zone).date() - timedelta(days=1)
    last = end.astimezone(zone).date()
    while day <= last:
        for window_start, window_end in _windows(schedule, day.weekday()):
            for minute in (window_start, window_end):
                wall = datetime.combine(day, time()) + timedelta(minutes=minute)
                found.update(moments(zone, wall))
        day += timedelta(days=1)
    return sorted(moment for moment in found if start < moment < end)


def jumps(zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return when the zone's offset from UTC changes."""
    found = []
    step = timedelta(hours=6)
    before = start
    while before < end:
        after = min(before + step, end)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(_jump(zone, before, after))
        before = after
    return found


def _jump(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Return the second at which the offset changes between two moments."""
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def fixed(
    zone: ZoneInfo, times: Sequence[str], days: Sequence[str] | None, after: datetime
) -> datetime:
    """Return the first moment after `after` at which a wall clock shows one of the times.

    A time that DST skips counts at the jump; one that it repeats counts once, the first time.
    """
    day = after.astimezone(zone).date() - timedelta(days=1)
    wanted = set(days) if days else set(WEEK)
    for _ in range(HORIZON_DAYS + 2):
        found = [
            moments(zone, datetime.combine(day, time.fromisoformat(wall)))[0]
            for wall in times
            if WEEK[day.weekday()] in wanted
        ]
        later = [moment for moment in found if moment > after]
        if later:
            return min(later)
        day += timedelta(days=1)
    raise ValueError("no day of the week is wanted")


@lru_cache(maxsize=700)
def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)
