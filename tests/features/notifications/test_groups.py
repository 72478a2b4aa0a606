"""Events of the app with one group_key are one notification; it shrinks as they are retracted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from nova.features.graph.models import Act
from nova.features.notifications import bursts
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.inbox import Undecided
from nova.features.notifications.models import Event, Mark, Marking, State
from nova.kernel.clock import ManualClock
from nova.kernel.errors import Unavailable
from support.http import SERVER, api_client, bearer
from support.notified import World, event, world
from support.posted import UNHEARD
from support.waiting import until

TEN = ["Ann", "Bea", "Cem", "Dan", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo"]
KEY = bearer(SERVER)


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as one:
        await one.meet(*TEN)
        yield one


def liked(by: str | None, id_: str = "", *, key: str = "post-1", **more: Any) -> Event:
    return event(id_ or f"like-{by}", actor_id=by, group_key=key, **more)


async def told(here: World, *events: Event) -> list[str]:
    """Have events happen, one after the other, and return the titles that Ben sees."""
    for each in events:
        assert (await here.send(each)).accepted == 1
        await here.settled()
    return await titles(here)


async def titles(here: World, name: str = "ben") -> list[str]:
    await agreed(here, name)
    return [each["title"] for each in await here.inbox(name)]


async def agreed(here: World, name: str = "ben") -> None:
    """Hold that a client which heard everything has what a fresh look shows, and the counts."""
    seen: dict[str, Any] = {}
    inbox = await here.inbox(name, state=State.ALL)
    counts = await here.all.inbox.counts(here.ids[name])
    last = {"unseen": counts.unseen, "unread": counts.unread}
    heard = await here.told(name, await published(here, name))
    for each in heard:
        match each["type"]:
            case "notification" | "updated":
                seen[each["notification"]["id"]] = each["notification"]
            case "removed":
                for id_ in each["ids"]:
                    seen.pop(id_, None)
        last_heard = {key: each[key] for key in ("unseen", "unread")}
    unmarked = [{k: v for k, v in each.items() if not k.endswith("_at")} for each in inbox]
    assert unmarked == [
        {k: v for k, v in seen[each["id"]].items() if not k.endswith("_at")} for each in inbox
    ]
    assert len(seen) == len(inbox)
    assert not heard or last_heard == last


async def looked_again(here: World) -> None:
    """Wait until what changed between people was heard."""

    async def nothing_left() -> bool:
        return bool(await here.pool.value(UNHEARD) == 0)

    await until(nothing_left)


async def published(here: World, name: str) -> int:
    channel = f"user:{here.ids[name]}"
    found = await here.pool.value("select top from backbone.channels where channel = $1", channel)
    return int(found or 0)


async def retracted(here: World, *ids: str) -> list[str]:
    for id_ in ids:
        await here.all.retraction.retract(id_)
    return await titles(here)


async def test_ten_of_a_group_ring_once_and_shrink_to_nothing(here: World) -> None:
    names = [name.lower() for name in TEN]
    assert await told(here, *(liked(name) for name in names)) == [
        "Ann and 9 others liked your post"
    ]
    [only] = await here.inbox("ben")
    assert (only["others"], only["actor"]["name"]) == (9, "Ann")
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 1
    assert [each["type"] for each in here.socket("ben")].count("notification") == 1
    for count, name in enumerate(names[:0:-1], 1):
        left = 9 - count
        others = f" and {left} other{'s' * (left > 1)}" if left else ""
        assert await retracted(here, f"like-{name}") == [f"Ann{others} liked your post"]
    assert await retracted(here, "like-ann") == []
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 0
    assert await here.pool.value("select count(*) from notifications.gathered") == 0
    stories = [await here.all.traces.event(f"like-{name}") for name in names]
    assert {each.reason for each in stories} == {"retracted"}


async def test_who_led_a_group_is_followed_by_the_next_with_their_own_words(here: World) -> None:
    said: dict[str, Any] = {
        "related_entity_id": "comment-2",
        "metadata": {"text": "from Bea"},
        "timestamp": datetime(2026, 1, 2, tzinfo=UTC),
    }
    first: dict[str, Any] = {
        "event_type": "comment",
        "metadata": {"text": "from Ann", "title": "it"},
    }
    await told(
        here,
        liked("ann", related_entity_id="comment-1", **first),
        liked("bea", event_type="comment", **said),
        liked("cem", event_type="comment"),
    )
    assert await titles(here) == ["Ann and 2 others commented on it"]
    assert await retracted(here, "like-ann") == ["Bea and 1 other commented on your post"]
    [only] = await here.inbox("ben")
    assert (only["body"], only["related_entity_id"]) == ("from Bea", "comment-2")
    assert (only["metadata"], only["occurred_at"]) == ({"text": "from Bea"}, "2026-01-02T00:00:00Z")
    assert (only["event_id"], only["actor"]["name"]) == ("like-bea", "Bea")
    assert "from Ann" not in str(here.socket("ben")[-1])
    assert await retracted(here, "like-ann", "like-bea") == ["Cem commented on your post"]
    assert await retracted(here, "like-bea", "like-cem", "like-cem") == []


async def test_an_actor_counts_once(here: World) -> None:
    await told(
        here,
        liked("ann", "1"),
        liked("ann", "2"),
        liked("bea", "3"),
        liked("bea", "4"),
        liked("ann", "5"),
        liked(str(here.ids["bea"]), "6"),
    )
    assert await titles(here) == ["Ann and 1 other liked your post"]
    updates = [each for each in here.socket("ben") if each["type"] == "updated"]
    assert len(updates) == 1  # who is there already is no news
    assert await retracted(here, "3") == ["Ann and 1 other liked your post"]
    assert await retracted(here, "1") == ["Ann and 1 other liked your post"]
    assert await retracted(here, "4", "6") == ["Ann liked your post"]
    assert await retracted(here, "2") == ["Ann liked your post"]
    assert await retracted(here, "5") == []


async def test_events_without_a_known_actor_count_each(here: World) -> None:
    assert await told(here, liked(None, "1"), liked("nobody", "2"), liked("ann", "3")) == [
        "Someone and 2 others liked your post"
    ]
    stories = [await here.all.traces.event(each) for each in ("1", "2", "3")]
    assert [[w.code for w in each.warnings] for each in stories] == [[], ["unknown_actor"], []]
    assert await retracted(here, "1") == ["Someone and 1 other liked your post"]
    assert await retracted(here, "2") == ["Ann liked your post"]


async def test_groups_are_those_of_one_recipient_type_and_key(here: World) -> None:
    everything = [
        liked("ann", "1"),
        liked("bea", "2", key="post-2"),
        liked("cem", "3", event_type="comment"),
        event("4", actor_id="dan"),
        event("5", actor_id="eli"),
        liked("fay", "6", recipient_id="ada"),
        liked("gus", "7", key=" post-1"),
        liked("hal", "8"),
    ]
    assert await told(here, *everything) == [
        "Gus liked your post",
        "Eli liked your post",
        "Dan liked your post",
        "Cem commented on your post",
        "Bea liked your post",
        "Ann and 1 other liked your post",
    ]
    assert await titles(here, "ada") == ["Fay liked your post"]


async def test_a_group_of_the_apps_is_never_one_of_novas(here: World) -> None:
    post = UUID(int=7)
    await told(here, liked("ann", "1", key=f"like:{post}"), liked("bea", "2", key=f"like:{post}"))
    kept = await here.pool.value("select burst from notifications.inbox where event_id = '1'")
    assert kept.startswith("app:")
    assert kept == bursts.of_app("like", f"like:{post}") != bursts.of_app("like", f"like:{post} ")
    assert len(kept) < 64


async def test_a_type_of_the_apps_own_says_count_and_names_in_each_readers_language(
    here: World,
) -> None:
    await here.meet("Greta", locale="de-AT")
    words = {
        "en": Wording(
            "{actor.name} sent a gift", "", "{actor.name} and {others}: {count} sent gifts"
        ),
        "de": Wording("{actor.name} schenkt", "", "{count} schenken, auch {actor.name}"),
    }
    await here.all.types.put("gift", Kind(templates=words))
    for number, name in enumerate(("ann", "bea", "cem")):
        for to in ("ben", "greta"):
            one = event(f"{number}{to}", event_type="gift", recipient_id=to, actor_id=name)
            await here.send(Event(**{**fields(one), "group_key": "birthday"}))
    await here.settled()
    assert await titles(here) == ["Ann and 2 others: 3 sent gifts"]
    assert await titles(here, "greta") == ["3 schenken, auch Ann"]
    assert await retracted(here, "0ben", "2ben") == ["Bea sent a gift"]
    assert await titles(here, "greta") == ["3 schenken, auch Ann"]
    await here.all.retraction.retract("1greta")
    assert await titles(here, "greta") == ["2 schenken, auch Ann"]


def fields(one: Event) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


async def test_a_group_without_words_for_many_says_what_its_first_event_said(here: World) -> None:
    await here.all.types.put("poke", Kind(templates={"en": Wording("{actor.name} pokes you")}))
    assert await told(here, liked("ann", event_type="poke"), liked("bea", event_type="poke")) == [
        "Ann pokes you"
    ]
    [only] = await here.inbox("ben")
    assert only["others"] == 1


async def test_what_was_read_is_joined_no_more_and_shrinks_all_the_same(here: World) -> None:
    await told(here, liked("ann"), liked("bea"))
    await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.READ, all=True))
    assert await told(here, liked("cem"), liked("dan")) == [
        "Cem and 1 other liked your post",
        "Ann and 1 other liked your post",
    ]
    assert await retracted(here, "like-bea") == [
        "Cem and 1 other liked your post",
        "Ann liked your post",
    ]
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 1
    assert await retracted(here, "like-ann") == ["Cem and 1 other liked your post"]
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 1
    assert await retracted(here, "like-cem", "like-dan") == []
    assert (await here.all.inbox.counts(here.ids["ben"])).unread == 0


async def test_a_group_is_over_when_its_time_is(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with world(dsn, clock=clock, burst_s=60.0) as here:
        await told(here, liked("ada"))
        clock.advance(59)
        await told(here, liked("cleo"))
        clock.advance(2)
        assert await told(here, liked("cleo", "again")) == [
            "Cleo liked your post",
            "Ada and 1 other liked your post",
        ]


async def test_a_full_group_begins_another(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bursts, "MOST_JOINED", 2)
    assert await told(here, *(liked(name.lower()) for name in TEN[:4])) == [
        "Dan liked your post",
        "Ann and 2 others liked your post",
    ]


async def test_the_same_event_again_changes_nothing(here: World) -> None:
    await told(here, liked("ann"), liked("bea"))
    again = await here.send(liked("bea"), liked("ann"))
    assert again.duplicate == 2
    other = await here.send(liked("bea", key="another"))
    assert other.results[0].problem is not None
    assert other.results[0].problem["code"] == "event_conflict"
    assert await titles(here) == ["Ann and 1 other liked your post"]
    assert await retracted(here, "like-bea") == ["Ann liked your post"]
    assert (await here.send(liked("bea"))).duplicate == 1  # a retracted event stays retracted
    assert await titles(here) == ["Ann liked your post"]


async def test_an_event_without_a_key_is_the_same_as_before_there_were_keys(here: World) -> None:
    await here.send(event("e1", actor_id="ann"))
    assert (await here.send(event("e1", actor_id="ann", group_key=None))).duplicate == 1
    kept = await here.pool.value("select digest from backbone.intake where id = 'e1'")
    # What the release before kept of this very event.
    assert kept.hex() == "60126377bb68df2d75022df1b3cf8657"


async def test_a_block_takes_all_of_an_actor_out_of_a_group(here: World) -> None:
    await told(here, liked("ann", "1"), liked("bea", "2"), liked("ann", "3"), liked("cem", "4"))
    await here.graph.change(Act.BLOCK, here.ids["ben"], here.ids["ann"])
    await looked_again(here)
    assert await titles(here) == ["Bea and 1 other liked your post"]
    await here.graph.change(Act.BLOCK, here.ids["cem"], here.ids["ben"])
    await looked_again(here)
    assert await titles(here) == ["Bea liked your post"]
    assert await told(here, liked("ann", "5"), liked("cem", "6"), liked("dan", "7")) == [
        "Bea and 1 other liked your post"
    ]


async def test_retracts_and_events_at_once_leave_what_is_left(here: World) -> None:
    names = [name.lower() for name in TEN]
    await told(here, *(liked(name) for name in names[:5]))

    async def take_back(id_: str) -> None:
        """Do as a client does that is told to come back later."""
        while True:
            try:
                await here.all.retraction.retract(id_)
            except (Undecided, Unavailable):
                await asyncio.sleep(0.05)
            else:
                return

    await asyncio.gather(
        *(take_back(f"like-{name}") for name in names[:4] * 2),
        *(here.send(liked(name)) for name in names[5:]),
    )
    await here.settled()
    [title] = await titles(here)
    assert title == "Eli and 5 others liked your post"
    await asyncio.gather(*(take_back(f"like-{name}") for name in names))
    assert await titles(here) == []


@pytest.mark.parametrize("key", ["", "x" * 129, 7, ["post"], "nul\0"])
async def test_a_key_that_is_none_is_refused(here: World, key: object) -> None:
    body = {"id": "1", "event_type": "like", "recipient_id": "ben", "group_key": key}
    async with api_client(here.feature.routes, here) as api:
        answer = await api.post("/v1/events", json=body, headers=KEY)
        assert answer.status_code in {400, 422}, answer.text
        assert (
            await api.post("/v1/events", json=body | {"group_key": "x" * 128}, headers=KEY)
        ).status_code == 202


async def test_a_cloud_event_joins_its_group(here: World) -> None:
    def cloud(id_: str, by: str) -> dict[str, Any]:
        data = {"recipient_id": "ben", "actor_id": by, "group_key": "post-1"}
        return {"specversion": "1.0", "id": id_, "source": "/a", "type": "like", "data": data}

    async with api_client(here.feature.routes, here) as api:
        for number, by in enumerate(("ann", "bea")):
            answer = await api.post("/v1/events", json=cloud(str(number), by), headers=KEY)
            assert answer.status_code == 202, answer.text
            await here.settled()
        assert await titles(here) == ["Ann and 1 other liked your post"]
        gone: httpx.Response = await api.delete("/v1/events/%2Fa%201", headers=KEY)
        assert gone.status_code == 204, gone.text
    assert await titles(here) == ["Ann liked your post"]


async def test_what_its_recipient_deleted_is_not_come_back_to(here: World) -> None:
    await told(here, liked("ann"), liked("bea"))
    [only] = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(only["id"]))
    assert await retracted(here, "like-ann", "like-bea") == []
    assert await here.pool.value("select count(*) from notifications.gathered") == 0
    assert (await here.all.traces.event("like-ann")).reason == "deleted"
