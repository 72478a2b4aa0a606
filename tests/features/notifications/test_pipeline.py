"""From accepted events to inboxes and sockets, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec
import pytest

from nova.features.accounts import store as accounts
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.models import MOST_CHOSEN, Changes, Choices
from nova.features.notifications.preferences import TooManyChoices
from nova.kernel.errors import NotFound
from nova.kernel.events import Heard
from support.notified import World, event, statuses, world
from support.waiting import until

json = msgspec.json.encode
SUPPRESSED = "select count(*) from notifications.suppressed where event_id = $1"
HELD = """
select (select count(*) from notifications.inbox where user_id = $1)
     + (select count(*) from notifications.boxes where user_id = $1)
     + (select count(*) from notifications.preferences where user_id = $1)
"""


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as one:
        yield one


async def test_a_like_rings_in_the_inbox_and_on_the_socket(here: World) -> None:
    results = await here.send(
        event("e1", actor_id="ada", related_entity_id="post-1", metadata={"title": "Tea"})
    )
    assert statuses(results) == ["accepted"]
    (rung,) = await here.told("ben", 1)
    assert rung["type"] == "notification"
    assert (rung["unseen"], rung["unread"]) == (1, 1)
    assert rung["notification"]["title"] == "Ada liked Tea"
    assert rung["notification"]["id"] == str(results.results[0].notification)
    assert rung["notification"]["actor_id"] == str(here.ids["ada"])
    assert await here.inbox("ben") == [rung["notification"]]


class Phones:
    """Says who has one."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.here: World | None = None

    async def reachable(self, users: Sequence[UUID]) -> set[UUID]:
        assert self.here is not None
        return {self.here.ids[name] for name in self.names} & set(users)


async def test_who_has_a_phone_hears_the_same_on_the_socket(dsn: str) -> None:
    phones = Phones("cleo")
    async with world(dsn, reach=phones) as here:
        phones.here = here
        for name in ("ben", "cleo"):  # one is concluded by a statement, the other is not
            await here.send(
                *(event(f"{name}-{n}", recipient_id=name, actor_id="ada") for n in range(3))
            )
        heard = [await here.told(name, 3) for name in ("ben", "cleo")]
        assert [each["notification"]["number"] for each in heard[1]] == [1, 2, 3]
        assert [each["unread"] for each in heard[1]] == [1, 2, 3]
        own = {"id", "event_id", "occurred_at", "created_at", "expires_at"}
        for one, other in zip(*heard, strict=True):
            inside = [
                {key: value for key, value in each["notification"].items() if key not in own}
                for each in (one, other)
            ]
            assert inside[0] == inside[1]
            assert one | {"notification": {}} == other | {"notification": {}}
        for name, told in zip(("ben", "cleo"), heard, strict=True):
            assert await here.inbox(name) == [each["notification"] for each in reversed(told)]


async def test_either_id_of_a_person_will_do(here: World) -> None:
    await here.send(event("e1", recipient_id=str(here.ids["ben"]), actor_id=str(here.ids["ada"])))
    (rung,) = await here.told("ben", 1)
    assert rung["notification"]["title"] == "Ada liked your post"


async def test_people_are_told_in_their_own_language(here: World) -> None:
    await here.meet("Dora", locale="de-CH")
    await here.like("e1", of="dora")
    (rung,) = await here.told("dora", 1)
    assert rung["notification"]["title"] == "Ada gefällt dein Beitrag"


async def test_numbers_and_counts_have_no_gaps_whatever_the_batches(here: World) -> None:
    people = ["ada", "ben", "cleo"]
    await asyncio.gather(
        *(
            here.send(*(event(f"{n}-{m}", recipient_id=people[(n + m) % 3]) for m in range(40)))
            for n in range(12)
        )
    )
    await here.settled()
    for name in people:
        rung = await here.told(name, 160)
        assert [each["notification"]["number"] for each in rung] == list(range(1, 161))
        assert [each["unread"] for each in rung] == list(range(1, 161))
        assert [each["number"] for each in await here.inbox(name)] == list(range(160, 0, -1))
        assert (await here.all.inbox.counts(here.ids[name])).unread == 160


async def test_suppressed_events_ring_nowhere_and_say_why(here: World) -> None:
    await here.all.preferences.put(here.ids["cleo"], Choices({}, {"like": {"in_app": False}}))
    await here.like("self", of="ben", by="ben")
    await here.like("nobody", of="nobody")
    await here.like("unwanted", of="cleo")
    await here.settled()
    assert here.published == []
    stories = {name: await here.all.traces.event(name) for name in ("self", "nobody", "unwanted")}
    assert {name: (story.outcome, story.reason) for name, story in stories.items()} == {
        "self": ("suppressed", "self_notification"),
        "nobody": ("suppressed", "unknown_recipient"),
        "unwanted": ("suppressed", "preference"),
    }
    assert stories["unwanted"].rule == "types.like.in_app"


async def test_the_same_event_again_does_nothing_and_is_answered_alike(here: World) -> None:
    first = await here.like("e1")
    again = await here.like("e1")
    other = await here.like("e1", by="cleo")
    assert statuses(again) == ["duplicate"]
    assert again.results[0].notification == first.results[0].notification
    assert statuses(other) == ["refused"]
    assert other.results[0].problem is not None
    assert other.results[0].problem["code"] == "event_conflict"
    await here.like("e2")
    assert len(await here.told("ben", 2)) == 2


async def test_duplicates_within_a_batch_are_found(here: World) -> None:
    one, other = event("e1"), event("e1", actor_id="cleo")
    results = await here.send(one, one, other, event("e2"))
    assert statuses(results) == ["accepted", "duplicate", "refused", "accepted"]
    assert (results.accepted, results.duplicate, results.refused) == (2, 1, 1)


async def test_many_at_once_with_the_same_ids_accept_each_once(here: World, dsn: str) -> None:
    ids = [f"e{n}" for n in range(50)]
    async with world(dsn) as other:
        all_results = await asyncio.gather(
            *(
                which.send(*(event(id_) for id_ in (ids if turn % 2 else reversed(ids))))
                for turn, which in enumerate([here, other] * 8)
            )
        )
    assert sum(results.accepted for results in all_results) == 50
    assert sum(results.duplicate for results in all_results) == 15 * 50
    named = {r.id: r.notification for results in all_results for r in results.results}
    assert all(named[r.id] == r.notification for results in all_results for r in results.results)
    await here.settled()
    assert len(await here.inbox("ben")) == 50


async def test_an_unknown_type_is_refused_and_its_neighbours_are_not(here: World) -> None:
    results = await here.send(event("e1", event_type="lik"), event("e2"))
    assert statuses(results) == ["refused", "accepted"]
    assert results.results[0].problem is not None
    assert "did you mean 'like'" in results.results[0].problem["detail"]
    assert "comment" in results.results[0].problem["registered"]


async def test_a_registered_type_speaks_with_the_apps_words(here: World) -> None:
    kind = Kind(templates={"en": Wording("{actor.name} sent {metadata.amount|a gift}", "Hooray")})
    await here.all.types.put("gift", kind)
    await here.send(event("e1", event_type="gift", actor_id="ada", metadata={"amount": 3}))
    (rung,) = await here.told("ben", 1)
    assert (rung["notification"]["title"], rung["notification"]["body"]) == ("Ada sent 3", "Hooray")


async def test_a_choice_holds_in_every_process_as_soon_as_it_is_told(here: World, dsn: str) -> None:
    async with world(dsn) as other:
        ben = here.ids["ben"]
        assert (await here.all.preferences.of([ben]))[ben] is None  # remembered from here on
        await other.all.preferences.put(ben, Choices({"in_app": False}))

        async def told() -> bool:
            return (await here.all.preferences.of([ben]))[ben] is not None

        await until(told)
        await other.all.types.put("wave", Kind(templates={"en": Wording("Hi")}))

        async def known() -> bool:
            return "wave" in await here.all.types.known()

        await until(known)


async def test_a_batch_that_runs_again_does_nothing_twice(here: World) -> None:
    await here.like("e1")
    await here.like("gone", of="nobody")
    await here.told("ben", 1)
    await here.settled()
    before = await here.inbox("ben")
    rows = await here.pool.fetch(
        "select id, at, payload from backbone.event_log where type = 'EventAccepted'"
    )
    decode = msgspec.json.Decoder(EventAccepted).decode
    heard = [Heard(decode(row["payload"]), row["id"], row["at"], None, 1) for row in rows]
    assert len(heard) == 2
    async with here.db.transaction() as tx:  # as for a dead letter that is replayed twice
        await here.all.pipeline.hear(tx, heard)
    assert await here.inbox("ben") == before
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 1
    assert len(here.socket("ben")) == 1
    assert await here.pool.value("select count(*) from notifications.suppressed") == 1


async def test_a_story_has_its_moments_in_order(here: World) -> None:
    results = await here.like("e1")
    await here.told("ben", 1)
    await here.all.runs.close()
    (id_,) = [each.notification for each in results.results]
    assert id_ is not None
    story = await here.all.traces.either(str(id_))
    assert story == await here.all.traces.either("e1")
    assert [each.step for each in story.steps] == [
        "accepted",
        "read",
        "decided",
        "stored",
        "published",
    ]
    moments = [each.ms for each in story.steps]
    assert moments == sorted(moments)
    assert (story.outcome, story.template, story.rule) == ("stored", "like/en", "default of in_app")


async def test_an_event_that_was_not_decided_yet_is_pending(here: World) -> None:
    await here.pool.run("insert into backbone.intake values ('e1', '', gen_random_uuid(), now())")
    assert (await here.all.traces.event("e1")).outcome == "pending"


async def test_an_event_that_failed_is_told_as_a_dead_letter(here: World) -> None:
    await here.pool.run(
        "alter table notifications.inbox add constraint broken check (event_id <> 'bad')"
    )
    await here.send(event("bad"), event("good"))
    await here.told("ben", 1)

    async def dead() -> bool:
        return (await here.all.traces.event("bad")).outcome == "dead_lettered"

    await until(dead)
    await here.pool.run("alter table notifications.inbox drop constraint broken")
    (letter,) = await here.backbone.dead_letters.list()
    await here.backbone.dead_letters.replay(numbers=[letter.number])
    await here.told("ben", 2)
    assert (await here.all.traces.event("bad")).outcome == "stored"
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 2


async def test_who_is_erased_while_an_event_is_decided_is_left_nothing(here: World) -> None:
    ben = here.ids["ben"]
    await here.like("e1")
    await here.settled()
    async with here.db.transaction() as tx:
        await accounts.lock(tx, ben)
        await here.all.erase(tx, ben)
        await accounts.delete(tx, ben)
    await here.like("e2")  # the pipeline has not heard that Ben is gone
    await asyncio.sleep(0.1)
    here.people.forget(str(ben))

    async def decided() -> bool:
        return bool(await here.pool.value(SUPPRESSED, "e2"))

    await until(decided)
    assert await here.pool.value(HELD, ben) == 0
    with pytest.raises(NotFound):
        await here.all.preferences.put(ben, Choices({"in_app": False}))


async def test_choices_are_bounded_however_they_were_made(here: World) -> None:
    ben = here.ids["ben"]
    many = {f"type_{n}": {"in_app": False} for n in range(MOST_CHOSEN)}
    await here.all.preferences.put(ben, Choices({"in_app": True}))
    await here.pool.run(
        "update notifications.preferences set choices = $1", json({"types": many}).decode()
    )
    with pytest.raises(TooManyChoices):
        await here.all.preferences.patch(ben, Changes(types={"like": {"in_app": False}}))
    await here.all.preferences.patch(ben, Changes(channels={"in_app": True}))
