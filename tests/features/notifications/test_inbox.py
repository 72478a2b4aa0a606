"""Inboxes: marks, counts, removal; and the snapshot law, whatever happens in which order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova.features.notifications.boxes import LOOKED_THROUGH
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.inbox import NoSuchEvent, NoSuchNotification, UnclearMark
from nova.features.notifications.models import Mark, Marking, State
from nova.kernel.clock import ManualClock, SystemClock
from nova.web.cursors import BadCursor
from support.notified import World, event, world

FRESH = """
select count(*) filter (where seen_at is null) as unseen,
       count(*) filter (where read_at is null) as unread
  from notifications.inbox where user_id = $1 and archived_at is null
"""


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock(SystemClock().now())


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[World]:
    # Stories are kept for longer than anything here lasts: so all that was decided can be seen.
    async with world(dsn, clock=clock, dedupe_days=1_000) as one:
        yield one


async def ids_of(here: World, count: int) -> list[UUID]:
    """Ring Ben's bell so often; return the notifications, oldest first."""
    results = await here.send(*(event(f"e{n}", actor_id="ada") for n in range(count)))
    await here.settled()
    return [each.notification for each in results.results if each.notification]


async def test_marks_change_what_they_say_and_the_counts_with_it(here: World) -> None:
    first, second, third = await ids_of(here, 3)
    ben, inbox = here.ids["ben"], here.all.inbox
    assert (await inbox.mark_one(ben, first, Mark.SEEN)).unseen == 2
    read = await inbox.mark_one(ben, second, Mark.READ)
    assert (read.changed, read.unseen, read.unread) == (1, 1, 2)
    again = await inbox.mark_one(ben, second, Mark.READ)
    assert (again.changed, again.unseen, again.unread) == (0, 1, 2)
    unread = await inbox.mark_one(ben, second, Mark.UNREAD)
    assert (unread.unseen, unread.unread) == (1, 3)
    away = await inbox.mark_one(ben, third, Mark.ARCHIVE)
    assert (away.unseen, away.unread) == (0, 2)
    assert (await inbox.mark_one(ben, third, Mark.READ)).unread == 2
    back = await inbox.mark_one(ben, third, Mark.UNARCHIVE)
    assert (back.unseen, back.unread) == (0, 2)


async def test_lists_hold_what_was_asked_for(here: World) -> None:
    first, second, third = await ids_of(here, 3)
    ben, inbox = here.ids["ben"], here.all.inbox
    await inbox.mark_one(ben, first, Mark.READ)
    await inbox.mark_one(ben, second, Mark.ARCHIVE)

    async def listed(state: State) -> list[UUID]:
        return [each.id for each in (await inbox.list(ben, state=state)).data]

    assert await listed(State.CURRENT) == [third, first]
    assert await listed(State.UNREAD) == await listed(State.UNSEEN) == [third]
    assert await listed(State.ARCHIVED) == [second]
    assert await listed(State.ALL) == [third, second, first]
    assert (await inbox.list(ben, kind="follow")).data == []


async def test_pages_meet_and_a_cursor_is_nobody_elses(here: World) -> None:
    ids = await ids_of(here, 7)
    ben, inbox = here.ids["ben"], here.all.inbox
    found, cursor = [], None
    for _ in range(3):
        page = await inbox.list(ben, limit=3, cursor=cursor)
        found += [each.id for each in page.data]
        cursor, last = page.next_cursor, cursor
    assert cursor is None
    assert found == ids[::-1]
    for user, state in ((here.ids["ada"], State.CURRENT), (ben, State.ALL)):
        with pytest.raises(BadCursor):
            await inbox.list(user, state=state, limit=3, cursor=last)


async def test_what_is_rare_in_a_large_inbox_is_found_a_stretch_at_a_time(here: World) -> None:
    ben, inbox = here.ids["ben"], here.all.inbox
    old, archived = await ids_of(here, 2)
    await inbox.mark_one(ben, archived, Mark.ARCHIVE)
    # As if all between had been removed.
    await here.pool.run(
        "update notifications.boxes set top = top + $2 where user_id = $1", ben, 2 * LOOKED_THROUGH
    )
    await here.send(event("new", actor_id="ada"))
    await here.settled()
    [new] = [each.id for each in (await inbox.list(ben, limit=1)).data]

    async def pages(**asked: Any) -> list[list[UUID]]:
        page = await inbox.list(ben, **asked)
        found = [page]
        while page.next_cursor is not None:
            page = await inbox.list(ben, cursor=page.next_cursor, **asked)
            found.append(page)
        return [[each.id for each in page.data] for page in found]

    assert await pages(kind="like") == [[new], [], [old]]
    assert await pages(state=State.ARCHIVED) == [[archived]]
    assert await pages(state=State.UNREAD) == [[new], [], [old]]
    await inbox.mark_one(ben, old, Mark.READ)
    assert await pages(state=State.UNREAD) == [[new]]  # the count says that there is no more
    exported = await here.all.export(ben)
    assert [each.id for each in exported["notifications"]] == [old, archived, new]


async def test_a_mark_up_to_one_leaves_the_newer_ones_alone(here: World) -> None:
    ids = await ids_of(here, 5)
    marked = await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.READ, up_to=ids[2]))
    assert (marked.changed, marked.unseen, marked.unread) == (3, 2, 2)
    everything = await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.SEEN, all=True))
    assert (everything.changed, everything.unseen, everything.unread) == (2, 0, 2)


async def test_a_mark_says_clearly_what_it_is_for(here: World) -> None:
    (one,) = await ids_of(here, 1)
    for unclear in (Marking(mark=Mark.READ), Marking(mark=Mark.READ, ids=[one], all=True)):
        with pytest.raises(UnclearMark):
            await here.all.inbox.mark(here.ids["ben"], unclear)


async def test_what_is_not_yours_is_not_there(here: World) -> None:
    (one,) = await ids_of(here, 1)
    ada = here.ids["ada"]
    for attempt in (
        here.all.inbox.one(ada, one),
        here.all.inbox.mark_one(ada, one, Mark.READ),
        here.all.inbox.mark(ada, Marking(mark=Mark.READ, up_to=one)),
        here.all.removal.delete(ada, one),
        here.all.traces.notification(one, ada),
    ):
        with pytest.raises(NoSuchNotification):
            await attempt
    assert (await here.all.inbox.mark(ada, Marking(mark=Mark.READ, ids=[one]))).changed == 0
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 1


async def test_deleting_keeps_the_counts_and_the_story(here: World) -> None:
    first, _ = await ids_of(here, 2)
    ben = here.ids["ben"]
    await here.all.removal.delete(ben, first)
    assert (await here.all.inbox.counts(ben)).unread == 1
    with pytest.raises(NoSuchNotification):
        await here.all.removal.delete(ben, first)
    assert (await here.all.traces.event("e0")).reason == "deleted"
    assert (await here.all.traces.notification(first, ben)).outcome == "removed"


async def test_what_has_expired_goes_each_type_in_its_own_time(
    here: World, clock: ManualClock
) -> None:
    await here.all.types.put("flash", Kind(templates={"en": Wording("Quick")}, lifetime_days=0.5))
    await here.send(event("e1"), event("e2", event_type="flash"))
    await here.settled()
    clock.advance(86_400)
    await here.all.expire()
    assert [each["event_id"] for each in await here.inbox("ben")] == ["e1"]
    assert (await here.all.traces.event("e2")).reason == "expired"
    clock.advance(30 * 86_400)
    await here.all.expire()
    assert await here.inbox("ben") == []
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 0
    clock.advance(1_000 * 86_400)
    await here.all.forget()
    for table in ("intake", "suppressed", "runs"):
        assert await here.pool.value(COUNT[table]) == 0
    with pytest.raises(NoSuchEvent, match="No event or notification"):
        await here.all.traces.either("e2")


COUNT = {
    "intake": "select count(*) from backbone.intake",
    "suppressed": "select count(*) from notifications.suppressed",
    "runs": "select count(*) from notifications.runs",
}


async def test_a_deleted_user_leaves_nothing_behind(here: World) -> None:
    await ids_of(here, 2)
    await here.like("self", by="ben")
    await here.settled()
    ben = here.ids["ben"]
    assert len((await here.all.export(ben))["notifications"]) == 2
    async with here.db.transaction() as tx:
        await here.all.erase(tx, ben)
    for sql in (
        "select count(*) from notifications.inbox where user_id = $1",
        "select count(*) from notifications.boxes where user_id = $1",
        "select count(*) from notifications.suppressed where user_id = $1",
    ):
        assert await here.pool.value(sql, ben) == 0


async def fresh(here: World, user: UUID) -> tuple[int, int]:
    row = await here.pool.row(FRESH, user)
    assert row is not None
    return row["unseen"], row["unread"]


async def test_counts_stay_exact_while_everything_happens_at_once(
    here: World, clock: ManualClock
) -> None:
    people = ["ada", "ben", "cleo"]
    ids: dict[str, list[UUID]] = {name: [] for name in people}
    for round_ in range(3):
        results = await here.send(
            *(event(f"{round_}-{n}", recipient_id=people[n % 3]) for n in range(60))
        )
        for n, each in enumerate(results.results):
            assert each.notification is not None
            ids[people[n % 3]].append(each.notification)
        await here.settled()

    async def touch(name: str, n: int) -> None:
        user, mine = here.ids[name], ids[name]
        mark = list(Mark)[n % len(Mark)]
        if n % 4 == 0:
            await here.all.inbox.mark(user, Marking(mark=mark, up_to=mine[n]))
        elif n % 7 == 0:
            await here.all.removal.delete(user, mine[-1 - n])
        else:
            await here.all.inbox.mark(user, Marking(mark=mark, ids=mine[n : n + 9]))

    arrivals = [
        here.send(*(event(f"{n}-{m}-more", recipient_id=people[m % 3]) for m in range(9)))
        for n in range(12)
    ]
    touches = [touch(name, n) for n in range(30) for name in people if n % 28]
    clock.advance(31 * 86_400)
    removal = here.all.removal.expire(40)
    done = await asyncio.gather(*arrivals, *touches, removal, return_exceptions=True)
    failed = {type(each) for each in done if isinstance(each, BaseException)}
    assert failed <= {NoSuchNotification}  # of what was deleted or expired just before
    await here.settled()
    for name in people:
        counted = await here.all.inbox.counts(here.ids[name])
        assert (counted.unseen, counted.unread) == await fresh(here, here.ids[name])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(1, 4)),
        st.tuples(st.just("mark"), st.sampled_from(list(Mark)), st.integers(0, 12)),
        st.tuples(st.just("up_to"), st.sampled_from(list(Mark)), st.integers(0, 12)),
        st.tuples(st.just("delete"), st.integers(0, 12)),
        st.tuples(st.just("pass"), st.integers(1, 20)),
    ),
    max_size=12,
)


def applied(snapshot: dict[str, dict[str, Any]], told: dict[str, Any]) -> None:
    """Do to an old snapshot what a client does with what its socket says."""
    if told["type"] == "notification":
        snapshot[told["notification"]["id"]] = dict(told["notification"])
    elif told["type"] == "removed":
        for id_ in told["ids"]:
            snapshot.pop(id_, None)
    else:
        for one in snapshot.values():
            named = told["ids"]
            if one["id"] in named if named is not None else one["number"] <= told["up_to"]:
                _marked(one, told["mark"], told["at"])


def _marked(one: dict[str, Any], mark: str, at: str) -> None:
    if mark in ("seen", "read"):
        one.setdefault("seen_at", at)
    if mark == "read":
        one.setdefault("read_at", at)
    elif mark == "unread":
        one.pop("read_at", None)
    elif mark == "archive":
        one.setdefault("archived_at", at)
    elif mark == "unarchive":
        one.pop("archived_at", None)


class Ben:
    """Ben's device, which only listens, and Ben's other one, which does things."""

    def __init__(self, here: World, clock: ManualClock, run: int) -> None:
        self.here = here
        self.clock = clock
        self.run = run
        self.user = here.ids["ben"]
        self.ids: list[UUID] = []

    async def do(self, step: tuple[Any, ...]) -> None:
        inbox = self.here.all.inbox
        match step:
            case ("arrive", count):
                start, heard = len(self.ids), len(self.here.socket("ben"))
                names = [f"{self.run}-{start + n}" for n in range(count)]
                results = await self.here.send(*(event(name) for name in names))
                self.ids += [each.notification for each in results.results if each.notification]
                await self.here.settled()
                await self.here.told("ben", heard + count)  # they are, a moment after their commit
            case ("mark", mark, n) if n < len(self.ids):
                await inbox.mark(self.user, Marking(mark=mark, ids=[self.ids[n]]))
            case ("up_to", mark, n) if n < len(self.ids):
                with suppress(NoSuchNotification):
                    await inbox.mark(self.user, Marking(mark=mark, up_to=self.ids[n]))
            case ("delete", n) if n < len(self.ids):
                with suppress(NoSuchNotification):
                    await self.here.all.removal.delete(self.user, self.ids[n])
            case ("pass", days):
                self.clock.advance(days * 86_400)
                await self.here.all.expire()


async def test_an_old_snapshot_and_the_sockets_events_equal_a_fresh_fetch(
    here: World, clock: ManualClock
) -> None:
    loop = asyncio.get_running_loop()
    runs = 0

    async def play(steps: list[tuple[Any, ...]]) -> None:
        nonlocal runs
        runs += 1
        ben = Ben(here, clock, runs)
        heard = len(here.socket("ben"))
        snapshot = {each["id"]: each for each in await here.inbox("ben", state=State.ALL)}
        told: list[dict[str, Any]] = []
        for step in steps:
            await ben.do(step)
            counts = await here.all.inbox.counts(ben.user)
            assert (counts.unseen, counts.unread) == await fresh(here, ben.user)
        told = here.socket("ben")[heard:]
        for each in told:
            applied(snapshot, each)
        now = {each["id"]: each for each in await here.inbox("ben", state=State.ALL)}
        assert snapshot == now
        if told:
            assert (told[-1]["unseen"], told[-1]["unread"]) == (counts.unseen, counts.unread)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def law(steps: list[tuple[Any, ...]]) -> None:
        asyncio.run_coroutine_threadsafe(play(steps), loop).result(60)

    await asyncio.to_thread(law)
