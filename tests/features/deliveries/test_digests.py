"""Digests: every event in exactly one, whoever opens and closes at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from nova.features.deliveries.plan import DIGEST_EARLIEST_S, DIGEST_LATEST_S
from nova.features.deliveries.policies import DigestRule
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.models import Mark, Marking
from nova.kernel.clock import ManualClock
from support.delivered import Delivered, delivered
from support.notified import event
from support.waiting import until

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ENTRIES = "select count(*) from deliveries.entries where gone is null"


async def gathered(here: Delivered, count: int) -> None:
    async def enough() -> bool:
        return bool(await here.pool.value(ENTRIES) >= count)

    await until(enough)


async def test_what_is_gathered_becomes_one_mail_with_everybody_in_it(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.meet("Dora", "Eve")
        await here.policy("like", digests={"email": DigestRule(window_s=600)})
        await here.mailbox("ben")
        for n, who in enumerate(("ada", "cleo", "dora", "eve", "ada")):
            await here.send(
                event(f"e{n}", actor_id=who, related_entity_id="p1", metadata={"title": "Tea"})
            )
        await here.send(
            event("x", actor_id="ada", related_entity_id="p2", metadata={"title": "Milk"})
        )
        await gathered(here, 6)
        assert await here.deliveries.digests.close_due() == 0
        clock.advance(601)
        assert await here.deliveries.digests.close_due() == 1
        (row,) = await here.ended(1)
        assert (row.kind, row.status) == ("digest", "sent")
        (mail,) = here.mail.parcels
        assert mail.title == "6 new notifications"
        title, told, unsubscribe = mail.body.split("\n\n")
        assert title == mail.title
        assert told.splitlines() == ["Ada liked Milk", "Ada and 3 others liked Tea"]
        assert str(mail.unsubscribe_url) in unsubscribe
        story = await here.all.traces.event("e0")
        steps = [step.step for step in story.steps]
        assert steps.index("email_gathered") < steps.index("email_closed")
        assert "email_sent" in steps


async def test_a_digest_of_one_thing_is_about_that_thing(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", digests={"push": DigestRule(window_s=60, by="object")})
        await here.phone("ben")
        for n, who in enumerate(("ada", "cleo")):
            await here.send(event(f"a{n}", actor_id=who, related_entity_id="p1"))
        await here.send(event("b", actor_id="ada", related_entity_id="p2"))
        await gathered(here, 3)
        clock.advance(61)
        await here.deliveries.digests.close_due()
        await here.ended(2)
        assert sorted(here.ios.titles) == ["Ada liked your post", "Cleo and Ada liked your post"]


ODD_NAMES = (
    *(
        "me",
        "New",
        "message",
        "m",
        "New message from",
        "{}",
        "{actor.name}",
        "$1",
        "\\1",
        "%s",
        ".",
    ),
    *("{n}", "a|b", "(", "and", "\u05e2\u05d3\u05d4"),
)


async def test_a_digest_names_everybody_whatever_they_are_called(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        words = {"en": Wording("New message from {actor.name} {metadata.x}")}
        await here.all.types.put("note", Kind(templates=words))
        await here.policy("note", digests={"push": DigestRule(window_s=60, by="object")})
        await here.phone("ben")
        await here.meet(*ODD_NAMES)
        for number, name in enumerate(ODD_NAMES):
            for who in ("cleo", name.lower()):
                await here.send(
                    event(
                        f"{who} {number}",
                        event_type="note",
                        actor_id=who,
                        related_entity_id=f"p{number}",
                        metadata={"x": "me {actor.name} Cleo"},
                    )
                )
        await gathered(here, 2 * len(ODD_NAMES))
        clock.advance(61)
        await here.deliveries.digests.close_due()
        await here.ended(len(ODD_NAMES))
        shown = (f"\u2068{name}\u2069" if name >= "\u0590" else name for name in ODD_NAMES)
        assert sorted(here.ios.titles) == sorted(
            f"New message from {name} and Cleo me {{actor.name}} Cleo" for name in shown
        )


async def test_a_digest_speaks_the_language_of_its_titles(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        words = {"en": Wording("x"), "de": Wording("{actor.name} war da: {metadata.x}")}
        await here.all.types.put("visit", Kind(templates=words))
        await here.meet("Fritz", locale="de-CH")
        await here.policy("visit", digests={"push": DigestRule(window_s=60, by="object")})
        await here.phone("fritz")
        for who in ("ada", "cleo", "ben"):
            about = {"event_type": "visit", "recipient_id": "fritz", "actor_id": who}
            await here.send(event(who, **about, related_entity_id="p", metadata={"x": who}))
        await gathered(here, 3)
        clock.advance(61)
        await here.deliveries.digests.close_due()
        await here.ended(1, "fritz")
        assert here.ios.titles == ["Ben und 2 weitere war da: ben"]


async def test_a_fixed_time_is_the_recipients_own_and_not_everybodys_second(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", digests={"email": DigestRule(at=["08:00", "18:00"])})
        for who, zone in (("ada", "Asia/Kathmandu"), ("ben", "America/St_Johns")):
            await here.mailbox(who)
            await here.lives_in(who, zone)
            await here.like(f"of-{who}", of=who, by="cleo")
        await gathered(here, 2)
        rows = await here.pool.fetch("select user_id, closes_at from deliveries.digests")
        closes = {row["user_id"]: row["closes_at"] for row in rows}
        for who, zone in (("ada", "Asia/Kathmandu"), ("ben", "America/St_Johns")):
            wall = closes[here.ids[who]].astimezone(ZoneInfo(zone))
            late = (wall.minute * 60 + wall.second) + (wall.hour - 18) * 3600
            late = late if wall.hour >= 18 else late + 10 * 3600
            assert DIGEST_EARLIEST_S <= late <= DIGEST_LATEST_S


async def test_the_first_goes_at_once_and_the_rest_is_gathered(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        rule = DigestRule(window_s=600, look_back_s=3_600)
        await here.policy("like", digests={"push": rule})
        await here.phone("ben")
        await here.like("first")
        await here.ended(1)
        assert here.ios.titles == ["Ada liked your post"]
        await here.like("second", by="cleo")
        await here.like("third")
        await gathered(here, 2)
        clock.advance(601)
        await here.deliveries.digests.close_due()
        await here.ended(2)
        assert here.ios.titles[1] == "2 new notifications"
        clock.advance(3_601)
        await here.like("much later")
        assert (await here.ended(3))[-1].kind == "single"


async def test_what_is_taken_back_leaves_the_open_digest(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", digests={"email": DigestRule(window_s=60)})
        await here.mailbox("ben")
        await here.like("e1")
        await here.like("e2", by="cleo")
        await gathered(here, 2)
        (newest, _) = await here.inbox("ben")
        await here.all.removal.delete(here.ids["ben"], UUID(newest["id"]))
        await here.block("ben", "ada")

        async def none_left() -> bool:
            return bool(await here.pool.value(ENTRIES) == 0)

        await until(none_left)
        clock.advance(61)
        assert await here.deliveries.digests.close_due() == 1
        assert await here.ledger() == []  # an empty one says nothing


async def test_each_event_is_in_exactly_one_whoever_closes_meanwhile(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here, delivered(dsn, clock=clock) as other:
        for world in (here, other):
            await world.policy("like", digests={"email": DigestRule(window_s=1)})
        for who in ("ada", "ben", "cleo"):
            await here.mailbox(who)

        async def close() -> None:
            for _ in range(40):
                clock.advance(0.4)
                await asyncio.gather(
                    here.deliveries.digests.close_due(), other.deliveries.digests.close_due()
                )
                await asyncio.sleep(0.01)

        async def tell(world: Delivered, name: str) -> None:
            for n in range(60):
                of = ("ada", "ben", "cleo")[n % 3]
                by = "ben" if of != "ben" else "ada"
                await world.send(
                    event(
                        f"{name}{n}", recipient_id=of, actor_id=by, related_entity_id=f"{name}{n}"
                    )
                )

        await asyncio.gather(close(), tell(here, "a"), tell(other, "b"))
        await gathered(here, 120)
        clock.advance(2)
        await here.deliveries.digests.close_due()
        await asyncio.gather(*(here.ended(1, who) for who in ("ada", "ben", "cleo")))

        async def nothing_open() -> bool:
            await here.deliveries.digests.close_due()
            return not await here.pool.value(
                "select count(*) from deliveries.deliveries where phase <> 'done'"
            )

        await until(nothing_open)
        mails = here.mail.parcels + other.mail.parcels
        lines = [
            line
            for mail in mails
            for line in (
                [mail.title]
                if "notifications" not in mail.title
                else mail.body.split("\n\n")[1].splitlines()
            )
        ]
        assert len(lines) == 120
        assert await here.pool.value(ENTRIES) == 120


async def test_ten_thousand_people_are_closed_in_batches(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.meet(*(f"P{n}" for n in range(600)))
        await here.pool.run("update accounts.users set email = external_id || '@example.org'")
        await here.policy("like", digests={"email": DigestRule(window_s=60)})
        await here.send(*(event(f"e{n}", recipient_id=f"p{n}", actor_id="ada") for n in range(600)))
        await gathered(here, 600)
        clock.advance(61)
        assert await here.deliveries.digests.close_due() == 600
        await here.sees(lambda: len(here.mail.parcels) == 600)
        assert {mail.title for mail in here.mail.parcels} == {"Ada liked your post"}
        assert clock.now() - NOON == timedelta(seconds=61)


async def test_who_unsubscribes_while_a_digest_gathers_gets_no_mail(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        for kind in ("like", "comment"):
            await here.policy(kind, digests={"email": DigestRule(window_s=600)})
        await here.mailbox("ben")
        await here.like("e1")
        await here.send(event("e2", event_type="comment", actor_id="ada"))
        await gathered(here, 2)
        unsubscribe = here.deliveries.unsubscribe
        await unsubscribe.obey(unsubscribe.token(here.ids["ben"], "like"))
        clock.advance(601)
        assert await here.deliveries.digests.close_due() == 2
        assert [row.type for row in await here.ended(1)] == ["comment"]


async def test_what_was_seen_in_the_app_leaves_the_digest(dsn: str) -> None:
    clock = ManualClock(NOON)
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", digests={"email": DigestRule(window_s=600)})
        await here.mailbox("ben")
        await here.like("e1")
        await here.like("e2", by="cleo")
        await gathered(here, 2)
        (_, older) = await here.inbox("ben")
        await here.all.inbox.mark_one(here.ids["ben"], UUID(older["id"]), Mark.READ)
        await until(lambda: here.pool.value(f"{ENTRIES} having count(*) = 1"))
        clock.advance(601)
        await here.deliveries.digests.close_due()
        await here.ended(1)
        assert here.mail.titles == ["Cleo liked your post"]
        await here.like("e3")
        await gathered(here, 2)
        await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.SEEN, all=True))
        await until(lambda: here.pool.value(f"{ENTRIES} having count(*) = 1"))
