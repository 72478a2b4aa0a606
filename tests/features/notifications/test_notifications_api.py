"""The routes of notifications, called as an app would."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.http import api_client, bearer
from support.notified import SERVER, World, world
from support.waiting import until

EVENT = {"id": "e1", "event_type": "like", "recipient_id": "ben", "actor_id": "ada"}
KEY = bearer(SERVER)
NOBODYS = "01900000-0000-7000-8000-000000000000"
BEN = bearer("ben")


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as one:
        yield one


@pytest.fixture
async def api(here: World) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(here.feature.routes, here) as client:
        yield client


async def rung(api: httpx.AsyncClient, here: World, **fields: Any) -> str:
    """Ring Ben's bell and return the notification's id."""
    answer = await api.post("/v1/events", json=EVENT | fields, headers=KEY)
    assert answer.status_code == 202
    await here.settled()
    return str(answer.json()["results"][0]["notification"])


async def test_an_event_comes_in_and_is_listed_counted_and_read(
    api: httpx.AsyncClient, here: World
) -> None:
    id_ = await rung(api, here)
    listed = (await api.get("/v1/notifications", headers=BEN)).json()["data"]
    assert [each["id"] for each in listed] == [id_]
    by_key = await api.get("/v1/notifications?user=ben", headers=KEY)
    assert by_key.json()["data"] == listed
    marked = await api.post(f"/v1/notifications/{id_}/read", headers=BEN)
    assert marked.json() == {"changed": 1, "unseen": 0, "unread": 0}
    counts = await api.get("/v1/notifications/counts", headers=BEN)
    assert counts.json() == {"unseen": 0, "unread": 0}
    one = (await api.get(f"/v1/notifications/{id_}", headers=BEN)).json()
    assert "read_at" in one
    assert (await api.delete(f"/v1/notifications/{id_}", headers=BEN)).status_code == 204
    assert (await api.get(f"/v1/notifications/{id_}", headers=BEN)).status_code == 404


async def test_a_lone_events_refusal_is_the_answer(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/events", json=EVENT | {"event_type": "lik"}, headers=KEY)
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_type"
    assert "like" in answer.json()["registered"]
    await api.post("/v1/events", json=EVENT, headers=KEY)
    answer = await api.post("/v1/events", json=EVENT | {"actor_id": "cleo"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "event_conflict")


async def test_a_list_has_a_result_for_each_in_order(api: httpx.AsyncClient) -> None:
    events = [EVENT, {"id": "bad"}, EVENT | {"id": "e2"}, EVENT]
    answer = await api.post("/v1/events", json={"events": events}, headers=KEY)
    assert answer.status_code == 202
    statuses = [each["status"] for each in answer.json()["results"]]
    assert statuses == ["accepted", "refused", "accepted", "duplicate"]


@pytest.mark.parametrize("envelope", [b"[%s]", b'{"events": [%s]}'])
@pytest.mark.parametrize(
    "said",
    [
        b'"a\\u0000"',
        b'"\\ud83d"',
        b'"\\ude00\\ud83d\\ude00"',
        b'"Andr\xe9"',
        b'"\xed\xa0\x80"',
        b"[" * 3_000 + b'"]"' + b"]" * 3_000,
    ],
)
async def test_a_bad_event_is_refused_by_itself(
    api: httpx.AsyncClient, said: bytes, envelope: bytes
) -> None:
    good = [json.dumps(EVENT | {"id": name, "metadata": {"of": "😀"}}) for name in ("e1", "e2")]
    bad = b'{"id": "bad", "event_type": "like", "recipient_id": "ben", "metadata": {"a": %s}}'
    body = b",".join([good[0].encode(), bad % said, good[1].encode()])
    headers = KEY | {"content-type": "application/json"}
    answer = await api.post("/v1/events", content=envelope % body, headers=headers)
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert [each["status"] for each in results] == ["accepted", "refused", "accepted"]
    assert results[1]["problem"]["status"] == 422


async def test_what_is_no_id_keeps_no_other_from_being_marked(
    api: httpx.AsyncClient, here: World
) -> None:
    id_ = await rung(api, here)
    ids = ["nonsense", id_, 7, None, [id_], "", NOBODYS]
    marking = {"mark": "read", "ids": ids}
    marked = (await api.post("/v1/notifications/marks", json=marking, headers=BEN)).json()
    assert (marked["changed"], marked["unread"]) == (1, 0)
    assert [each["index"] for each in marked["refused"]] == [0, 2, 3, 4, 5]
    assert {each["problem"]["code"] for each in marked["refused"]} == {"no_id"}


async def test_cloud_events_are_taken_alone_and_in_batches(api: httpx.AsyncClient) -> None:
    cloud = {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:shop",
        "type": "com.example.follow",
        "data": {"recipient_id": "ben", "actor_id": "ada"},
    }
    for kind, sent in (
        ("application/cloudevents+json", cloud),
        ("application/cloudevents-batch+json", [cloud, cloud | {"id": "2"}]),
    ):
        headers = KEY | {"content-type": kind}
        answer = await api.post("/v1/events", content=json.dumps(sent), headers=headers)
        assert answer.status_code == 202
    assert [each["status"] for each in answer.json()["results"]] == ["duplicate", "accepted"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"nonsense",
        b'{"events": 7}',
        b'{"id": "\xff"}',
        b'{"id": "\\ud800"}',
        b'{"id": "a\\u0000", "event_type": "like", "recipient_id": "ben"}',
        b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": ' + b"9" * 5_000 + b"}",
        b'{"id": "x", "event_type": "like", "recipient_id": "ben", "metadata": {"n": 1e400}}',
    ],
)
async def test_bad_bodies_are_refused_with_a_problem(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post(
        "/v1/events", content=body, headers=KEY | {"content-type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/notifications?limit=0", 422),
        ("GET", "/v1/notifications?limit=1000000000", 422),
        ("GET", "/v1/notifications?state=none", 422),
        ("GET", "/v1/notifications?cursor=garbage", 400),
        ("GET", "/v1/notifications?cursor=%FF", 400),
        ("GET", "/v1/notifications?user=ada", 404),
        ("GET", "/v1/notifications/nonsense", 404),
        ("POST", "/v1/notifications/nonsense/read", 404),
        ("POST", f"/v1/notifications/{NOBODYS}/eaten", 404),
        ("DELETE", f"/v1/notifications/{NOBODYS}", 404),
        ("GET", f"/v1/notifications/{NOBODYS}/trace", 404),
        ("GET", "/v1/notification-types/%27;drop", 404),
    ],
)
async def test_bad_paths_and_queries_are_refused(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path, headers=BEN)
    assert answer.status_code == status


async def test_a_server_key_says_whose_inbox_it_means(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/notifications", headers=KEY)).json()["code"] == "whose_inbox"
    assert (await api.get("/v1/notifications?user=nobody", headers=KEY)).status_code == 404


async def test_only_the_recipient_and_the_server_may_ask_why(
    api: httpx.AsyncClient, here: World
) -> None:
    id_ = await rung(api, here)
    for headers, status in ((BEN, 200), (KEY, 200), (bearer("ada"), 404)):
        answer = await api.get(f"/v1/notifications/{id_}/trace", headers=headers)
        assert answer.status_code == status
    answer = await api.get("/v1/events/e1/trace", headers=KEY)
    assert answer.json()["outcome"] == "stored"
    assert (await api.get("/v1/events/e1/trace", headers=BEN)).status_code == 403
    for path in ("events/e2", f"notifications/{NOBODYS}"):
        answer = await api.get(f"/v1/{path}/trace", headers=KEY)
        assert answer.status_code == 404
        assert "`notifications.dedupe_days`" in answer.json()["hint"]


async def test_preferences_are_checked_merged_and_explained(api: httpx.AsyncClient) -> None:
    url = "/v1/preferences"
    first = (await api.get(url, headers=BEN)).json()
    assert first["channels"] == {}
    assert first["effective"]["like"]["in_app"] is True
    wrong = await api.put(url, json={"types": {"lik": {"push": False}}}, headers=BEN)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_type")
    wrong = await api.put(url, json={"channels": {"in_ap": False}}, headers=BEN)
    assert wrong.status_code == 422
    assert "did you mean 'in_app'" in wrong.json()["detail"]
    await api.put(url, json={"types": {"like": {"in_app": False}}}, headers=BEN)
    patched = await api.patch(url, json={"channels": {"push": False}}, headers=BEN)
    assert patched.json()["types"] == {"like": {"in_app": False}}
    assert patched.json()["effective"]["follow"]["push"] is False
    back = await api.patch("/v1/users/ben/preferences", json={"types": {"like": None}}, headers=KEY)
    assert back.json()["types"] == {}
    assert (await api.get("/v1/users/ben/preferences", headers=bearer("ada"))).status_code == 404


async def test_types_are_registered_replaced_and_removed(api: httpx.AsyncClient) -> None:
    url = "/v1/notification-types/gift"
    bad = await api.put(url, json={"templates": {"en": {"title": "{actor.nam}"}}}, headers=KEY)
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_template")
    gift = {"templates": {"en": {"title": "A gift"}}, "lifetime_days": 2}
    made = await api.put(url, json=gift, headers=KEY)
    assert (made.status_code, made.json()["built_in"], made.json()["changed"]) == (200, False, True)
    assert (await api.put(url, json=gift, headers=BEN)).status_code == 403
    for name in ("Gift", "a.b", "x" * 65, "%00"):
        odd = await api.put(f"/v1/notification-types/{name}", json=gift, headers=KEY)
        assert odd.status_code in {400, 404, 422}
    assert (await api.delete(url, headers=KEY)).status_code == 204
    assert (await api.get(url, headers=KEY)).status_code == 404
    names = [each["name"] for each in (await api.get("/v1/notification-types", headers=BEN)).json()]
    assert names == [
        "comment",
        "follow",
        "follow_approved",
        "follow_request",
        "like",
        "live_start",
        "mention",
        "message",
        "reply",
        "stream_update",
    ]


async def test_dead_letters_are_listed_and_replayed(api: httpx.AsyncClient, here: World) -> None:
    await here.pool.run("alter table notifications.inbox add constraint broken check (false)")
    await api.post("/v1/events", json=EVENT, headers=KEY)

    async def letters() -> list[dict[str, Any]]:
        answer = await api.get("/v1/dead-letters", headers=KEY)
        return list(answer.json()["data"])

    await until(letters)
    (letter,) = await letters()
    assert letter["type"] == "EventAccepted"
    await here.pool.run("alter table notifications.inbox drop constraint broken")
    url = f"/v1/dead-letters/{letter['number']}/replay"
    assert (await api.post(url, headers=KEY)).json() == {"replayed": 1}
    await here.told("ben", 1)
    assert (await api.post(url, headers=KEY)).status_code == 404
    for number in ("x", "-1", "9" * 30, "²"):
        answer = await api.post(f"/v1/dead-letters/{number}/replay", headers=KEY)
        assert answer.status_code == 404
