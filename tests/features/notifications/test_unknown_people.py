"""An event that names somebody whom nobody knows is taken, and the answer says so."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from nova.kernel.errors import Unavailable
from support.http import SERVER, api_client, bearer
from support.notified import World, world

EVENT = {"id": "e1", "event_type": "like", "recipient_id": "ben", "actor_id": "ada"}
KEY = bearer(SERVER)
RECIPIENT, ACTOR = ("unknown_recipient", "recipient_id"), ("unknown_actor", "actor_id")
NEVER_SEEN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as one:
        yield one


@pytest.fixture
async def api(here: World) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(here.feature.routes, here) as client:
        yield client


async def sent(api: httpx.AsyncClient, body: Any) -> list[dict[str, Any]]:
    answer = await api.post("/v1/events", json=body, headers=KEY)
    assert answer.status_code == 202, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def warned(of: dict[str, Any]) -> list[tuple[str, str]]:
    found = of.get("warnings", [])
    assert all(each["message"] and each["hint"] for each in found)
    return [(each["code"], each["field"]) for each in found]


async def trace(api: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    answer = await api.get(f"/v1/events/{id_}/trace", headers=KEY)
    story: dict[str, Any] = answer.json()
    return story


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"actor_id": None}, []),
        ({"recipient_id": "bne"}, [RECIPIENT]),
        ({"recipient_id": NEVER_SEEN}, [RECIPIENT]),
        ({"recipient_id": ""}, [RECIPIENT]),
        ({"actor_id": "aad"}, [ACTOR]),
        ({"actor_id": NEVER_SEEN}, [ACTOR]),
        ({"recipient_id": "bne", "actor_id": "bne"}, [RECIPIENT, ACTOR]),
    ],
)
async def test_each_unknown_person_is_warned_of(
    api: httpx.AsyncClient, here: World, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    [alone] = await sent(api, EVENT | fields)
    [again, other] = await sent(api, {"events": [EVENT | fields, EVENT | fields | {"id": "e2"}]})
    assert [each["status"] for each in (alone, again, other)] == [
        "accepted",
        "duplicate",
        "accepted",
    ]
    assert warned(alone) == warned(again) == warned(other) == expected
    await here.settled()
    story = await trace(api, "e1")
    # Without a recipient there are no words that could lack a name.
    assert warned(story) == expected[:1]
    assert story["outcome"] == ("suppressed" if RECIPIENT in expected else "stored")


async def test_only_those_of_a_batch_are_warned_of_that_name_a_stranger(
    api: httpx.AsyncClient,
) -> None:
    cloud = {
        "specversion": "1.0",
        "id": "c",
        "source": "/app",
        "type": "like",
        "data": {"recipient_id": "ben", "actor_id": "nobody"},
    }
    good, bad, stranger = EVENT, {"id": "x"}, EVENT | {"id": "e2", "recipient_id": "nobody"}
    results = await sent(api, [good, bad, stranger, cloud])
    assert [each["status"] for each in results] == ["accepted", "refused", "accepted", "accepted"]
    assert [warned(each) for each in results] == [[], [], [RECIPIENT], [ACTOR]]


async def test_the_story_of_someone_says_who_is_missing(
    api: httpx.AsyncClient, here: World
) -> None:
    await sent(api, [EVENT | {"actor_id": "nobody"}, EVENT | {"id": "e2", "actor_id": None}])
    await here.settled()
    named, nameless = await trace(api, "e1"), await trace(api, "e2")
    assert "warnings" not in nameless
    [decided] = [each["says"] for each in named["steps"] if each["step"] == "decided"]
    assert "no user with the actor's id" in decided
    assert {each["title"] for each in await here.inbox("ben")} == {"Someone liked your post"}


async def test_who_comes_to_be_known_is_warned_of_no_more(
    api: httpx.AsyncClient, here: World
) -> None:
    assert warned((await sent(api, EVENT | {"actor_id": "dora"}))[0]) == [ACTOR]
    await here.meet("Dora")
    assert warned((await sent(api, EVENT | {"id": "e2", "actor_id": "dora"}))[0]) == []


async def test_what_cannot_be_looked_up_is_accepted_all_the_same(here: World) -> None:
    class Away(type(here.people)):  # type: ignore[misc]  # whose database went a moment ago
        async def resolve(self, references: Sequence[str]) -> Any:
            raise Unavailable(f"{references}")

    here.all.ingest._people = Away(here.db)
    results = await here.like("e1", by="nobody")
    assert (results.accepted, results.results[0].warnings) == (1, [])
    await here.settled()
    assert [each["event_id"] for each in await here.inbox("ben")] == ["e1"]
