"""Quiet hours against a calendar that looks at every minute, in all zones there are."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nova.features.deliveries import quiet
from nova.features.deliveries.quiet import WEEK, Schedule, Window

ZONES = sorted(available_timezones())
MINUTE = timedelta(minutes=1)

minutes = st.integers(0, 1_439).map(lambda m: f"{m // 60:02}:{m % 60:02}")
windows = st.builds(Window, start=minutes, end=minutes)
schedules = st.builds(
    Schedule,
    days=st.dictionaries(st.sampled_from(WEEK), st.lists(windows, max_size=3), max_size=7),
)
# Around the changes of 2026 in Europe, America, Australia, Chile, Lebanon, Morocco and Troll, too.
moments = st.integers(0, 365 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def shown(schedule: Schedule, zone: ZoneInfo, at: datetime) -> bool:
    """Say whether it is quiet from what the wall clock and the wall calendar show, naively."""
    wall = at.astimezone(zone)
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        for window in schedule.days.get(WEEK[day.weekday()], ()):
            over = window.end <= window.start
            if back == 0 and window.start <= wall.strftime("%H:%M"):
                if over or wall.strftime("%H:%M") < window.end:
                    return True
            elif back == 1 and over and wall.strftime("%H:%M") < window.end:
                return True
    return False


def brute_release(schedule: Schedule, zone: ZoneInfo, at: datetime, most: int) -> datetime | None:
    """Walk minute by minute: `at` first, then whole minutes."""
    if not shown(schedule, zone, at):
        return at
    moment = at.replace(second=0) + MINUTE
    for _ in range(most):
        if not shown(schedule, zone, moment):
            return moment
        moment += MINUTE
    return None


@settings(max_examples=300)
@given(schedules, st.sampled_from(ZONES), moments)
@example(  # an end that DST skips
    Schedule(days={"sat": [Window(start="22:00", end="02:30")]}),
    "Europe/Berlin",
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
)
@example(  # an hour that DST repeats
    Schedule(days={"sun": [Window(start="01:30", end="02:30")]}),
    "Europe/Berlin",
    datetime(2026, 10, 25, 0, 20, tzinfo=UTC),
)
@example(  # half an hour of DST
    Schedule(days={day: [Window(start="22:00", end="02:00")] for day in WEEK}),
    "Australia/Lord_Howe",
    datetime(2026, 4, 4, 14, 0, tzinfo=UTC),
)
@example(  # two hours of DST
    Schedule(days={day: [Window(start="23:00", end="02:00")] for day in WEEK}),
    "Antarctica/Troll",
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
)
@example(  # midnight itself is skipped
    Schedule(days={"sat": [Window(start="20:00", end="00:00")]}),
    "Africa/Cairo",
    datetime(2026, 4, 23, 21, 0, tzinfo=UTC),
)
def test_it_is_quiet_as_the_wall_clock_says_and_ends_at_the_first_minute_that_is_not(
    schedule: Schedule, name: str, at: datetime
) -> None:
    zone = ZoneInfo(name)
    assert quiet.covers(schedule, zone, at) == shown(schedule, zone, at)
    found = quiet.release(schedule, zone, at)
    expected = brute_release(schedule, zone, at, 9 * 24 * 60)
    if found is None:
        assert expected is None or expected - at > timedelta(days=7, hours=20)
    else:
        assert found == expected


@pytest.mark.parametrize("name", ZONES)
def test_every_zone_is_right_in_the_week_of_each_of_its_changes(name: str) -> None:
    zone = ZoneInfo(name)
    nights = Schedule(
        days={
            day: [Window(start="22:15", end="07:45"), Window(start="00:50", end="02:20")]
            for day in WEEK
        }
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    changes = quiet.jumps(zone, start, datetime(2027, 1, 1, tzinfo=UTC))
    for change in changes or [start + timedelta(days=100)]:
        for hours in (-20, -5, -1, 0, 1, 4):
            at = change + timedelta(hours=hours, seconds=11)
            assert quiet.release(nights, zone, at) == brute_release(nights, zone, at, 3_000)


@settings(max_examples=100)
@given(schedules, st.sampled_from(ZONES), moments)
def test_the_ribbon_has_no_gaps_and_tells_the_same(
    schedule: Schedule, name: str, at: datetime
) -> None:
    zone = ZoneInfo(name)
    pieces = quiet.ribbon(schedule, zone, at)
    assert pieces[0].start == at
    assert pieces[-1].end == at + timedelta(hours=24)
    for one, following in pairwise(pieces):
        assert one.end == following.start
        assert one.quiet != following.quiet
    for piece in pieces:
        middle = piece.start + (piece.end - piece.start) / 2
        assert shown(schedule, zone, middle) == piece.quiet


def test_a_snooze_is_quiet_until_its_end_and_then_the_hours_count() -> None:
    until = datetime(2026, 6, 1, 21, 0, tzinfo=UTC)
    schedule = Schedule(days={"mon": [Window(start="22:00", end="07:00")]}, snooze_until=until)
    zone = ZoneInfo("Europe/Berlin")  # 23:00 there: the night has begun
    at = until - timedelta(hours=5)
    assert quiet.release(schedule, zone, at) == datetime(2026, 6, 2, 5, 0, tzinfo=UTC)
    assert [piece.quiet for piece in quiet.ribbon(schedule, zone, at)] == [True, False]


def test_hours_that_never_end_have_no_release() -> None:
    always = Schedule(days={day: [Window(start="00:00", end="00:00")] for day in WEEK})
    assert quiet.release(always, ZoneInfo("Asia/Tokyo"), datetime(2026, 6, 1, tzinfo=UTC)) is None


@settings(max_examples=200)
@given(
    st.sampled_from(ZONES),
    moments,
    st.lists(minutes, min_size=1, max_size=4),
    st.one_of(st.none(), st.lists(st.sampled_from(WEEK), min_size=1, max_size=7)),
)
def test_a_fixed_time_is_the_next_one_that_the_wall_clock_reaches(
    name: str, at: datetime, times: list[str], days: list[str] | None
) -> None:
    zone = ZoneInfo(name)
    found = quiet.fixed(zone, times, days, at)
    assert found > at
    wall = found.astimezone(zone)
    jumped = bool(quiet.jumps(zone, found - MINUTE, found + MINUTE))
    assert jumped or wall.strftime("%H:%M") in times
    assert days is None or jumped or WEEK[wall.weekday()] in days
    # No minute in between shows such a time for the first time.
    moment = at.replace(second=0) + MINUTE
    while moment < found:
        here = moment.astimezone(zone)
        if here.strftime("%H:%M") in times and (days is None or WEEK[here.weekday()] in days):
            assert here.fold == 1, (moment, here)
        moment += MINUTE


TIMES = ["00:00", "01:15", "02:30", "03:00", "12:00", "23:45"]


def brute_fixed(zone: ZoneInfo, at: datetime) -> datetime:
    """Walk minute by minute to one that shows a time for the first time, or that skipped one."""
    moment = at.replace(second=0)
    before = moment.astimezone(zone).replace(tzinfo=None)
    while True:
        moment += MINUTE
        wall = moment.astimezone(zone)
        shown_now = wall.replace(tzinfo=None)
        passed = [before + MINUTE * n for n in range(1, (shown_now - before) // MINUTE)]
        if any(each.strftime("%H:%M") in TIMES for each in passed):
            return moment
        if wall.fold == 0 and wall.strftime("%H:%M") in TIMES:
            return moment
        before = shown_now


@pytest.mark.parametrize("name", ZONES)
def test_every_zone_has_its_fixed_times_on_the_days_of_each_of_its_changes(name: str) -> None:
    zone = ZoneInfo(name)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    changes = quiet.jumps(zone, start, datetime(2027, 1, 1, tzinfo=UTC))
    for change in changes or [start + timedelta(days=100)]:
        for minutes_off in (-180, -61, -20, -1, 0, 1, 40):
            at = change + timedelta(minutes=minutes_off, seconds=11)
            assert quiet.fixed(zone, TIMES, None, at) == brute_fixed(zone, at), at
