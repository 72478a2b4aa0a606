"""What is gone by then goes out by no way and from no stage, and is recalled where it is out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest

from nova.features.accounts.models import Change
from nova.features.deliveries.models import Redrive
from nova.features.deliveries.policies import DigestRule
from nova.features.deliveries.quiet import WEEK, Schedule, Window
from nova.features.graph.models import Act
from nova.features.posts.models import CommentEdit, Edit, NewComment, NewPost, Visibility
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Parcel, Verdict
from support.delivered import Delivered, delivered, outcome
from support.notified import event
from support.waiting import until

NIGHT = datetime(2026, 1, 5, 23, tzinfo=UTC)
NIGHTS = Schedule(days={day: [Window(start="22:00", end="08:00")] for day in WEEK})
TYPES = ("like", "comment", "reply", "mention", "follow", "follow_request")
HOURS_S = 10 * 3_600
PAUSE = "update deliveries.lanes set paused_until = $1"


class Life:
    """Ada does things that concern Ben, who lives with a phone and a mailbox."""

    def __init__(self, world: Delivered, clock: ManualClock) -> None:
        self.world = world
        self.clock = clock
        self.post = self.comment = UUID(int=0)

    def of(self, who: str) -> UUID:
        return self.world.ids[who]

    async def posts(self, who: str, text: str = "hello") -> None:
        made = await self.world.posts.posts.publish(self.of(who), NewPost(text=text))
        self.post = made.id

    async def likes(self, who: str = "ada", *, really: bool = True) -> None:
        await self.world.posts.likes.set(self.of(who), self.post, likes=really)

    async def comments(self, who: str = "ada", text: str = "a secret") -> None:
        made = await self.world.posts.comments.add(self.of(who), self.post, NewComment(text=text))
        self.comment = made.id

    async def act(self, act: Act, who: str, whom: str) -> None:
        await self.world.graph.change(act, self.of(who), self.of(whom))

    async def later(self, seconds: float = HOURS_S) -> None:
        """Let time go by, and everything happen that is due then."""
        self.clock.advance(seconds)
        await self.world.due()
        await self.world.pool.run(PAUSE, None)
        for lane in self.world.deliveries.lanes:
            self.world.deliveries.ring(lane)

    async def nothing_left(self) -> None:
        """Wait until no delivery of Ben's is still to go out."""

        async def ended() -> bool:
            return all(row.next_at is None for row in await self.world.ledger())

        await until(ended)

    @property
    def parcels(self) -> list[Parcel]:
        """What went out, but for what takes something back."""
        lanes = self.world.carriers.values()
        return [each for lane in lanes for each in lane.parcels if "nova" not in each.data]


class Case(NamedTuple):
    """Something that is told to Ben, and what takes it back."""

    before: Callable[[Life], Awaitable[object]]
    do: Callable[[Life], Awaitable[object]]
    undo: Callable[[Life], Awaitable[object]]


async def _nothing(life: Life) -> None:
    del life


CASES = {
    "an unlike": Case(
        lambda it: it.posts("ben"), lambda it: it.likes(), lambda it: it.likes(really=False)
    ),
    "a comment that is deleted": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.world.posts.comments.delete(it.of("ada"), it.comment),
    ),
    "a comment that the post's author deletes": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.world.posts.comments.delete(it.of("ben"), it.comment),
    ),
    "a comment on a post that is deleted": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.world.posts.posts.delete(it.of("ben"), it.post),
    ),
    "a mention that is edited out": Case(
        _nothing,
        lambda it: it.posts("ada", "a secret for @ben"),
        lambda it: it.world.posts.posts.edit(it.of("ada"), it.post, Edit(text="nothing")),
    ),
    "a mention in a comment that is edited out": Case(
        lambda it: it.posts("cleo"),
        lambda it: it.comments("ada", "a secret for @ben"),
        lambda it: it.world.posts.comments.edit(
            it.of("ada"), it.comment, CommentEdit(text="nothing")
        ),
    ),
    "a mention in a post for fewer": Case(
        _nothing,
        lambda it: it.posts("ada", "a secret for @ben"),
        lambda it: it.world.posts.posts.edit(
            it.of("ada"), it.post, Edit(visibility=Visibility.CLOSE_FRIENDS)
        ),
    ),
    "a mention in an account that closes": Case(
        _nothing,
        lambda it: it.posts("ada", "a secret for @ben"),
        lambda it: it.world.graph.set_private(it.of("ada"), private=True),
    ),
    "a follow that ends": Case(
        _nothing,
        lambda it: it.act(Act.FOLLOW, "ada", "ben"),
        lambda it: it.act(Act.UNFOLLOW, "ada", "ben"),
    ),
    "a follower who is removed": Case(
        _nothing,
        lambda it: it.act(Act.FOLLOW, "ada", "ben"),
        lambda it: it.act(Act.REMOVE, "ben", "ada"),
    ),
    "a request that is withdrawn": Case(
        lambda it: it.world.graph.set_private(it.of("ben"), private=True),
        lambda it: it.act(Act.FOLLOW, "ada", "ben"),
        lambda it: it.act(Act.UNFOLLOW, "ada", "ben"),
    ),
    "a request that is declined": Case(
        lambda it: it.world.graph.set_private(it.of("ben"), private=True),
        lambda it: it.act(Act.FOLLOW, "ada", "ben"),
        lambda it: it.act(Act.DECLINE, "ben", "ada"),
    ),
    "a comment by somebody who is blocked": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.act(Act.BLOCK, "ben", "ada"),
    ),
    "a comment by somebody who blocks": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.act(Act.BLOCK, "ada", "ben"),
    ),
    "a comment by somebody who is suspended": Case(
        lambda it: it.posts("ben"),
        lambda it: it.comments(),
        lambda it: it.world.accounts.change(it.of("ada"), Change(suspended=True), by_server=True),
    ),
}


@pytest.fixture
async def life(dsn: str) -> AsyncIterator[Life]:
    clock = ManualClock(NIGHT)
    async with delivered(dsn, clock=clock) as here:
        for kind in TYPES:
            await here.policy(kind)
        await here.phone("ben")
        yield Life(here, clock)


async def _in_inbox(life: Life, count: int) -> None:
    async def shown() -> bool:
        return len(await life.world.inbox("ben")) == count

    await until(shown)


async def _shows(life: Life, title: str) -> None:
    async def shown() -> bool:
        return [each["title"] for each in await life.world.inbox("ben")] == [title]

    await until(shown)


async def _told(life: Life, case: Case) -> None:
    await case.before(life)
    await case.do(life)
    await _in_inbox(life, 1)


@pytest.mark.parametrize("name", CASES)
async def test_what_quiet_hours_hold_is_not_released_once_it_is_gone(life: Life, name: str) -> None:
    await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await _told(life, CASES[name])
    await life.world.planned(1, phase="held")
    await CASES[name].undo(life)
    await _in_inbox(life, 0)
    await life.nothing_left()
    await life.later()
    await life.nothing_left()
    assert life.parcels == []
    assert "secret" not in str(await life.world.ledger())


@pytest.mark.parametrize("name", CASES)
async def test_an_attempt_asks_by_itself_though_nobody_has_heard_of_the_change(
    life: Life, name: str
) -> None:
    await life.world.pool.run(PAUSE, datetime(2030, 1, 1, tzinfo=UTC))
    await _told(life, CASES[name])
    await life.world.planned(1, phase="waiting")
    async with life.world.db.transaction() as tx:  # holds the log's readers back
        await tx.value("select pg_current_xact_id()")
        await CASES[name].undo(life)
        assert len(await life.world.inbox("ben")) == 1
        await life.later(1)
        await life.nothing_left()
        assert await life.world.inbox("ben") == []
    [row] = await life.world.ended(1)
    assert (row.phase, row.reason, row.attempts) == ("dropped", "removed", 1)
    assert life.parcels == []


@pytest.mark.parametrize("name", CASES)
async def test_a_digest_closes_without_what_is_gone(life: Life, name: str) -> None:
    for kind in TYPES:
        await life.world.policy(kind, digests={"push": DigestRule(window_s=60)})
    await _told(life, CASES[name])

    async def gathered() -> bool:
        return bool(await life.world.pool.value("select count(*) from deliveries.entries"))

    await until(gathered)
    await CASES[name].undo(life)
    await _in_inbox(life, 0)

    async def struck() -> bool:
        return bool(await life.world.pool.value("select count(gone) from deliveries.entries"))

    await until(struck)
    await life.later()
    assert await life.world.ledger() == []
    assert life.parcels == []
    rows = await life.world.pool.fetch("select title, body, actor_name from deliveries.entries")
    assert [tuple(row.values()) for row in rows] == [("", "", None)]


@pytest.mark.parametrize("name", CASES)
async def test_what_is_out_is_recalled_by_its_collapse_id(life: Life, name: str) -> None:
    await _told(life, CASES[name])
    [sent] = await life.world.ended(1)
    assert sent.status == "sent"
    await CASES[name].undo(life)
    [gone, recall] = await life.world.ended(2)
    assert (recall.kind, recall.status, recall.collapse_id) == ("recall", "sent", sent.collapse_id)
    assert life.world.ios.parcels[1].collapse_id == life.world.ios.parcels[0].collapse_id
    assert gone.title == ""


@pytest.mark.parametrize("name", CASES)
async def test_no_retry_no_escalation_and_no_redrive_revives_it(life: Life, name: str) -> None:
    for kind in TYPES:
        await life.world.policy(kind, escalate_after_s={"email": 600.0})
    await life.world.mailbox("ben")
    await life.world.phone("ben", "pixel", "android")
    life.world.ios.answers = [outcome(Verdict.RETRY, "busy", retry_after_s=60.0)]
    life.world.carriers["android"].answers = [outcome(Verdict.REFUSED, "too large")]
    await _told(life, CASES[name])
    await life.world.planned(1, phase="standby")
    await life.world.planned(1, phase="dead")
    await life.world.planned(1, code="busy")
    tried = len(life.parcels)
    await CASES[name].undo(life)
    await _in_inbox(life, 0)
    await life.nothing_left()
    await life.later()
    assert (await life.world.deliveries.log.redrive(Redrive(), None)).redriven == 0
    await life.nothing_left()
    assert len(life.parcels) == tried == 2
    assert {row.phase for row in await life.world.ledger(channel="email")} == {"dropped"}


async def test_what_is_taken_back_while_its_digest_waits_leaves_the_mail(life: Life) -> None:
    for kind in TYPES:
        await life.world.policy(kind, digests={"email": DigestRule(window_s=60, by="object")})
    await life.world.mailbox("ben")
    await life.posts("ben")
    await life.comments("cleo", "to be read")
    await life.comments("ada", "a secret")
    await _in_inbox(life, 2)

    async def gathered() -> bool:
        return bool(await life.world.pool.value("select count(*) = 2 from deliveries.entries"))

    await until(gathered)
    await life.world.pool.run(PAUSE, datetime(2030, 1, 1, tzinfo=UTC))
    life.clock.advance(61)
    await life.world.deliveries.digests.close_due()
    [waiting] = await life.world.planned(1, channel="email")
    assert (waiting.phase, waiting.title) == ("waiting", "Ada and Cleo commented on your post")
    async with life.world.db.transaction() as tx:  # the digest's own rule, and no reader of the log
        await tx.value("select pg_current_xact_id()")
        await life.world.posts.comments.delete(life.of("ada"), life.comment)
        await life.later(1)
        await life.world.ended(1, channel="email")
    [mail] = life.world.mail.parcels
    assert mail.title == "Cleo commented on your post"
    assert "secret" not in str(mail)


async def test_a_mail_of_a_digest_of_which_nothing_is_left_does_not_go(life: Life) -> None:
    for kind in TYPES:
        await life.world.policy(kind, digests={"email": DigestRule(window_s=60)})
    await life.world.mailbox("ben")
    await life.posts("ben")
    await life.comments()
    await _in_inbox(life, 1)

    async def gathered() -> bool:
        return bool(await life.world.pool.value("select count(*) from deliveries.entries"))

    await until(gathered)
    await life.world.pool.run(PAUSE, datetime(2030, 1, 1, tzinfo=UTC))
    life.clock.advance(61)
    await life.world.deliveries.digests.close_due()
    await life.world.planned(1, channel="email")
    await life.world.posts.comments.delete(life.of("ada"), life.comment)
    [row] = await life.world.ended(1, channel="email")
    assert (row.phase, row.reason, row.title) == ("dropped", "removed", "")
    assert life.world.mail.parcels == []


async def test_what_is_held_together_is_said_without_what_is_gone(life: Life) -> None:
    await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await life.posts("ben")
    await life.comments("cleo", "to be read")
    await life.likes("cleo")
    await life.comments("ada", "a secret")
    await life.world.planned(3, phase="held")
    await life.world.pool.run(PAUSE, datetime(2030, 1, 1, tzinfo=UTC))
    life.clock.advance(HOURS_S)
    await life.world.deliveries.release.due()
    await life.world.planned(1, phase="waiting")
    async with life.world.db.transaction() as tx:  # the attempt asks by itself
        await tx.value("select pg_current_xact_id()")
        await life.world.posts.comments.delete(life.of("ada"), life.comment)
        await life.later(1)

        async def parted() -> bool:
            return not await life.world.ledger(phase="merged")

        await until(parted)
        await life.later(1)
        await life.nothing_left()
    [push] = life.parcels
    assert push.title == "2 new notifications"
    assert "Ada" not in push.body


async def test_an_edit_goes_out_in_its_new_words(life: Life) -> None:
    await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await life.world.mailbox("ben")
    await life.world.policy("comment", digests={"email": DigestRule(window_s=60)})
    await life.posts("ben")
    await life.comments()
    await life.world.planned(1, phase="held")
    edit = CommentEdit(text="no such thing")
    await life.world.posts.comments.edit(life.of("ada"), life.comment, edit)

    async def edited() -> bool:
        return [row.title for row in await life.world.ledger()] != [] and bool(
            await life.world.pool.value(
                "select bool_and(body = 'no such thing') from ("
                "select body from deliveries.deliveries union all"
                " select body from deliveries.entries) rows"
            )
        )

    await until(edited)
    await life.later()
    await life.world.ended(2)
    said = [each.body.split("\n\n") for each in life.parcels]  # a mail says its title, too
    assert sorted(map(len, said)) == [1, 3]
    assert all("no such thing" in each for each in said)


async def test_an_edit_that_nobody_has_heard_of_goes_out_in_its_new_words(life: Life) -> None:
    await life.world.pool.run(PAUSE, datetime(2030, 1, 1, tzinfo=UTC))
    await life.posts("ben")
    await life.comments()
    await life.world.planned(1, phase="waiting")
    edit = CommentEdit(text="no such thing")
    async with life.world.db.transaction() as tx:
        await tx.value("select pg_current_xact_id()")
        await life.world.posts.comments.edit(life.of("ada"), life.comment, edit)
        await life.later(1)
        await life.nothing_left()
    assert [each.body for each in life.parcels] == ["no such thing"]


async def test_gathered_likes_go_out_as_they_are_then(life: Life) -> None:
    await life.world.meet("Dora", "Eve")
    await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await life.world.mailbox("ben")
    await life.world.policy("like", digests={"email": DigestRule(window_s=60)})
    await life.posts("ben")
    for who in ("ada", "cleo", "dora", "eve"):
        await life.likes(who)
    await life.world.planned(1, phase="held")

    await _shows(life, "Ada and 3 others liked your post")
    await life.likes("ada", really=False)
    await life.likes("dora", really=False)
    await _shows(life, "Cleo and 1 other liked your post")
    await life.later()
    await life.world.ended(2)
    assert [each.title for each in life.parcels] == ["Cleo and 1 other liked your post"] * 2


async def test_a_push_that_names_who_no_longer_likes_is_recalled(life: Life) -> None:
    await life.posts("ben")
    await life.likes("ada")
    await life.world.ended(1)
    await life.likes("cleo")
    await _shows(life, "Ada and 1 other liked your post")
    await life.likes("ada", really=False)
    [_, recall] = await life.world.ended(2)
    assert recall.kind == "recall"
    assert [each["title"] for each in await life.world.inbox("ben")] == ["Cleo liked your post"]


async def _under_way(life: Life, kind: str) -> None:
    """Send a push to Ben that tells of Cleo's comment and of Ada's, which gets no answer yet."""
    if kind == "digest":
        rule = DigestRule(window_s=60, by="object")
        await life.world.policy("comment", digests={"push": rule})
    else:
        await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await life.posts("ben")
    await life.comments("cleo", "to be read")
    await life.comments("ada", "a secret")
    await _in_inbox(life, 2)
    told = "select count(*) = 2 from deliveries.entries"
    if kind == "summary":
        told = "select count(*) = 2 from deliveries.deliveries where phase = 'held'"

    async def gathered() -> bool:
        return bool(await life.world.pool.value(told))

    await until(gathered)
    life.world.ios.open.clear()
    await life.later()
    await until(lambda: life.world.ios.busy)


async def _goes_meanwhile(life: Life) -> None:
    """Delete Ada's comment, and wait until deliveries have heard of it."""
    await life.world.posts.comments.delete(life.of("ada"), life.comment)

    async def heard() -> bool:
        marked = (
            "select count(*) from deliveries.deliveries where outdated or cancelled is not null"
        )
        return bool(await life.world.pool.value(marked))

    await until(heard)


@pytest.mark.parametrize("kind", ["digest", "summary"])
async def test_a_push_for_several_is_recalled_if_one_of_them_goes_while_it_is_sent(
    life: Life, kind: str
) -> None:
    await _under_way(life, kind)
    await _goes_meanwhile(life)
    life.world.ios.open.set()
    await until(lambda: len(life.world.ios.parcels) == 2)
    first, recall = life.world.ios.parcels
    assert "Ada" in first.title + first.body
    assert recall.data["nova"] == "recall"
    assert recall.collapse_id == first.collapse_id

    async def forgotten() -> bool:
        said = "select count(*) from deliveries.deliveries where summary_body like '%Ada%'"
        return not await life.world.pool.value(said)

    await until(forgotten)


async def test_a_digest_that_has_to_be_sent_again_goes_without_what_went_meanwhile(
    life: Life,
) -> None:
    await _under_way(life, "digest")
    await _goes_meanwhile(life)
    life.world.ios.answers.append(outcome(Verdict.RETRY, "busy"))
    life.world.ios.open.set()
    await life.world.planned(1, phase="waiting", code="busy")
    await life.later(60)
    await life.world.ended(1)
    first, second = life.parcels
    assert "Ada" in first.title
    assert (second.title, second.collapse_id) == ("Cleo commented on your post", first.collapse_id)
    assert life.world.ios.parcels == [first, second]


async def test_without_its_first_event_a_group_goes_out_as_the_next_one_says(life: Life) -> None:
    await life.world.deliveries.quiet.put(life.of("ben"), NIGHTS)
    await life.world.mailbox("ben")
    await life.world.policy("comment", digests={"email": DigestRule(window_s=60)})
    for number, (who, text) in enumerate((("ada", "a secret"), ("cleo", "to be read"))):
        said = event(
            f"e{number}",
            event_type="comment",
            actor_id=who,
            group_key="post-1",
            related_entity_id=f"comment-{number}",
            metadata={"text": text, "url": f"https://app.example/{number}"},
        )
        await life.world.send(said)
        await life.world.settled()
    await life.world.planned(1, phase="held")
    await _shows(life, "Ada and 1 other commented on your post")
    await life.world.all.retraction.retract("e0")

    async def edited() -> bool:
        urls = "select url from deliveries.deliveries union all select url from deliveries.entries"
        found = [row["url"] for row in await life.world.pool.fetch(urls)]
        return found == ["https://app.example/1"] * 2

    await until(edited)
    await life.later()
    await life.world.ended(2)
    assert all("to be read" in each.body for each in life.parcels)
    assert [each.title for each in life.parcels] == ["Cleo commented on your post"] * 2
    assert [each.url for each in life.parcels] == ["https://app.example/1"] * 2
    [push] = life.world.ios.parcels
    assert (push.data["related_entity_id"], push.data["actor_id"]) == (
        "comment-1",
        str(life.of("cleo")),
    )
    assert "secret" not in str(life.parcels)
