"""Deliveries over HTTP: the log, quiet hours, policies, dry runs and the one click."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from nova.ports.carriers import Verdict
from support.delivered import SENT, Delivered, api_of_world, apns, outcome, sink
from support.http import SERVER, bearer
from support.notified import event

KEY, BEN, CLEO = bearer(SERVER), bearer("ben"), bearer("cleo")
NIGHTS = {"mon": [{"start": "22:00", "end": "07:00"}]}


@pytest.fixture
async def api(here: Delivered) -> AsyncIterator[httpx.AsyncClient]:
    async with api_of_world(here) as client:
        yield client


async def asked(api: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await api.get(path, params=query, headers=KEY)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_log_is_listed_filtered_and_paged(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    await here.policy("like")
    here.carriers["android"].always = outcome(Verdict.REFUSED, "INVALID_ARGUMENT", text="bad icon")
    await here.phone("ben", "phone")
    await here.phone("ben", "pixel", "android")
    for n in range(3):
        await here.like(f"e{n}")
    await here.ended(6)
    page = await asked(api, "/v1/deliveries", user="ben", limit=4)
    rest = await asked(api, "/v1/deliveries", user="ben", limit=4, cursor=page["next_cursor"])
    ids = [each["id"] for each in page["data"] + rest["data"]]
    assert len(set(ids)) == 6
    assert ids == sorted(ids, reverse=True)
    dead = (await asked(api, "/v1/deliveries", phase="dead", code="INVALID_ARGUMENT"))["data"]
    assert {(each["lane"], each["status"], each["text"]) for each in dead} == {
        ("android", "bounced", "bad icon")
    }
    detail = await asked(api, f"/v1/deliveries/{dead[0]['id']}")
    assert [each["verdict"] for each in detail["attempts"]] == ["refused"]
    stolen = await api.get(
        "/v1/deliveries", params={"user": "cleo", "cursor": page["next_cursor"]}, headers=KEY
    )
    assert (stolen.status_code, stolen.json()["code"]) == (400, "bad_cursor")
    assert (await api.get("/v1/deliveries?user=nobody", headers=KEY)).status_code == 404
    assert (await api.get("/v1/deliveries/none", headers=KEY)).status_code == 404
    assert (await api.get("/v1/deliveries", headers=BEN)).status_code == 403


async def test_dead_letters_are_redriven_over_http(here: Delivered, api: httpx.AsyncClient) -> None:
    here.ios.always = outcome(Verdict.REFUSED, "BadTopic")
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    here.ios.always = SENT
    answer = await api.post("/v1/deliveries/redrive", json={"user": "cleo"}, headers=KEY)
    assert answer.json() == {"redriven": 0}
    answer = await api.post(f"/v1/deliveries/{row.id}/redrive", headers=KEY)
    assert answer.json() == {"redriven": 1}
    await here.ended(1, status="sent")
    again = await api.post(f"/v1/deliveries/{row.id}/redrive", headers=KEY)
    assert (again.status_code, again.json()["code"]) == (404, "no_such_dead_delivery")


async def test_only_its_own_user_confirms_a_push(here: Delivered, api: httpx.AsyncClient) -> None:
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    path = f"/v1/deliveries/{row.id}/receipt"
    strangers = await api.post(path, json={"status": "opened"}, headers=CLEO)
    assert (strangers.status_code, strangers.json()["code"]) == (404, "no_such_delivery")
    assert (await api.post(path, json={"status": "sent"}, headers=BEN)).status_code == 422
    assert (await api.post(path, json={"status": "delivered"}, headers=BEN)).status_code == 204
    (after,) = await here.ledger()
    assert after.status == "delivered"


async def test_quiet_hours_are_set_shown_tried_and_refused(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    await here.lives_in("ben", "Asia/Tokyo")
    put = await api.put("/v1/quiet-hours", json={"days": NIGHTS}, headers=BEN)
    assert put.status_code == 200, put.text
    assert put.json()["timezone"] == "Asia/Tokyo"
    seen = await api.get("/v1/users/ben/quiet-hours", headers=KEY)
    assert seen.json()["schedule"]["days"] == NIGHTS
    assert (await api.get("/v1/users/ben/quiet-hours", headers=CLEO)).status_code == 404
    tried = await api.post(
        "/v1/quiet-hours/simulate", json={"at": "2026-03-02T13:30:00Z"}, headers=BEN
    )
    assert (tried.json()["quiet"], tried.json()["release_at"]) == (True, "2026-03-02T22:00:00Z")
    assert [piece["quiet"] for piece in tried.json()["ribbon"]] == [True, False]
    refused: list[dict[str, Any]] = [
        {"days": {"mon": [{"start": "25:00", "end": "07:00"}]}},
        {"days": {"someday": []}},
        {"timezone": "Nowhere"},
        {"channels": ["in_app"]},
        {
            "days": {
                day: [{"start": "00:00", "end": "00:00"}]
                for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
            }
        },
        {"snooze_until": "2026-01-01T00:00:00"},
    ]
    for bad in refused:
        answer = await api.put("/v1/quiet-hours", json=bad, headers=BEN)
        assert answer.status_code == 422, (bad, answer.text)
        assert "`" not in answer.json().get("at", ""), answer.text
        assert answer.json()["code"]
    assert (await api.delete("/v1/quiet-hours", headers=BEN)).status_code == 204
    assert (await api.get("/v1/quiet-hours", headers=BEN)).json()["schedule"] is None


async def test_policies_are_set_checked_and_taken_back(api: httpx.AsyncClient) -> None:
    path = "/v1/delivery-policies/like"
    unclear = await api.put(path, json={"digests": {"email": {}}}, headers=KEY)
    assert (unclear.status_code, unclear.json()["code"]) == (422, "unclear_digest")
    assert (await api.put(path, json={"urgent": True}, headers=KEY)).json()["policy"]["urgent"]
    policies = {each["type"]: each["policy"] for each in await asked(api, "/v1/delivery-policies")}
    assert policies["like"]["urgent"]
    known = {each["type"]: each["changed"] for each in await asked(api, "/v1/delivery-policies")}
    assert (known["like"], known["message"]) == (True, False)
    assert policies["message"]["escalate_after_s"] == {"email": 900.0}
    assert (await api.delete(path, headers=KEY)).status_code == 204
    policies = {each["type"]: each["policy"] for each in await asked(api, "/v1/delivery-policies")}
    assert policies["like"]["digests"]["email"]["at"] == ["18:00"]
    bad = await api.put("/v1/delivery-policies/Bad%20Name", json={}, headers=KEY)
    assert bad.status_code == 422


async def test_a_dry_run_explains_every_channel_and_does_nothing(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    await here.phone("ben", "x" * 32)
    await here.mailbox("ben")
    await here.lives_in("ben", "Europe/Lisbon")
    await api.put("/v1/quiet-hours", json={"days": NIGHTS}, headers=BEN)
    supposed = {
        "event_type": "like",
        "recipient_id": "ben",
        "actor_id": "ada",
        "metadata": {"title": "Tea"},
        "at": "2026-03-02T23:30:00Z",
    }
    answer = await api.post("/v1/notifications/explain", json=supposed, headers=KEY)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["outcome"], said["title"]) == ("stored", "Ada liked Tea")
    ways = {way["channel"]: way for way in said["channels"]}
    assert (ways["push"]["decision"], ways["push"]["at"]) == ("hold", "2026-03-03T07:00:00Z")
    assert ways["push"]["targets"] == ["iOS device …787878"]
    assert ways["email"]["decision"] == "digest"
    assert ways["email"]["at"].startswith("2026-03-03T18:")
    previews = {each["channel"]: each for each in said["previews"]}
    assert previews["push"]["title"] == previews["email"]["title"] == "Ada liked Tea"
    assert "/v1/unsubscribe/" in previews["email"]["html"]
    own = await api.post(
        "/v1/notifications/explain", json=supposed | {"actor_id": "ben"}, headers=KEY
    )
    assert (own.json()["outcome"], own.json()["reason"]) == ("suppressed", "self_notification")
    strangers = supposed | {"recipient_id": "nobody", "actor_id": "no one"}
    unknown = await api.post("/v1/notifications/explain", json=strangers, headers=KEY)
    codes = [each["code"] for each in unknown.json()["warnings"]]
    assert codes == ["unknown_recipient", "unknown_actor"]
    assert "warnings" not in said
    assert await here.ledger() == []
    assert await here.inbox("ben") == []
    assert await here.pool.value("select count(*) from deliveries.digests") == 0


async def test_a_template_is_previewed_in_any_language(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    words = {
        "en": {"title": "{actor.name} waves <at> you", "body": "Wave back"},
        "de": {"title": "{actor.name} winkt dir", "body": "Wink zurück"},
    }
    made = await api.put("/v1/notification-types/wave", json={"templates": words}, headers=KEY)
    assert made.is_success, made.text
    supposed = {"event_type": "wave", "recipient_id": "ben", "actor_id": "ada"}
    seen = {}
    for locale in ("en", "de", "de-AT", "xx"):
        body = supposed | {"locale": locale}
        answer = await api.post("/v1/notifications/explain", json=body, headers=KEY)
        seen[locale] = {each["channel"]: each for each in answer.json()["previews"]}
    assert seen["de"]["push"]["title"] == seen["de-AT"]["email"]["title"] == "Ada winkt dir"
    assert seen["xx"]["email"]["title"] == "Ada waves <at> you"
    assert "<h1" in seen["en"]["email"]["html"]
    assert "Ada waves &lt;at&gt; you" in seen["en"]["email"]["html"]
    assert "Solche Mails abbestellen" in seen["de"]["email"]["html"]
    assert await here.inbox("ben") == []


async def test_one_click_ends_mail_of_a_type_and_looking_does_not(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    await here.policy("like")
    await here.mailbox("ben")
    await here.like("e1")
    await here.ended(1)
    (mail,) = here.mail.parcels
    assert mail.unsubscribe_url is not None
    assert mail.html is not None
    assert mail.unsubscribe_url in mail.html
    path = mail.unsubscribe_url.removeprefix("https://nova.example")
    page = await api.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<form method="post">' in page.text
    await api.head(path)
    await here.like("e2")
    await here.ended(2, status="sent")
    done = await api.post(  # as RFC 8058, section 3.1 has it
        path,
        content=b"List-Unsubscribe=One-Click",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert done.status_code == 200
    assert (await api.post(path)).status_code == 200
    await here.like("e3")
    rows = await here.ended(3)
    assert (rows[2].phase, rows[2].rule) == ("dropped", "types.like.email")
    for bad in (path[:-2], "/v1/unsubscribe/x", path.replace("unsubscribe/", "unsubscribe/A")):
        assert (await api.post(bad)).status_code == 404


async def test_the_sink_shows_what_was_rendered(here: Delivered, api: httpx.AsyncClient) -> None:
    here.deliveries.platforms["ios"].carrier = sink(here, here.clock)
    await here.phone("ben")
    await here.phone("cleo")
    await here.like("e1")
    await here.like("e2", of="cleo")
    await here.ended(1)
    await here.ended(1, "cleo")
    (kept,) = (await asked(api, "/v1/outbox", user="ben"))["data"]
    assert kept["parcel"]["title"] == "Ada liked your post"
    assert len((await asked(api, "/v1/outbox"))["data"]) == 2


async def test_lanes_tell_how_they_do(here: Delivered, api: httpx.AsyncClient) -> None:
    await here.phone("ben")
    await here.like("e1")
    await here.ended(1)
    lanes = {lane["lane"]: lane for lane in (await asked(api, "/v1/delivery-lanes"))["data"]}
    assert (lanes["ios"]["sent"], lanes["ios"]["carrier"], lanes["ios"]["breaker"]) == (
        1,
        "post",
        "closed",
    )
    body = {"suspects": "bury"}
    assert (await api.post("/v1/delivery-lanes/ios/resume", json=body, headers=KEY)).is_success
    wrong = await api.post("/v1/delivery-lanes/fax/resume", json=body, headers=KEY)
    assert (wrong.status_code, wrong.json()["code"]) == (404, "no_such_lane")


async def test_an_event_taken_back_is_recalled_everywhere(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    await here.phone("ben")
    await here.like("e1")
    await here.ended(1)
    assert (await api.delete("/v1/events/e1", headers=KEY)).status_code == 204
    assert (await api.delete("/v1/events/e1", headers=KEY)).status_code == 204
    assert (await api.delete("/v1/events/other", headers=KEY)).status_code == 404
    await here.ended(2)
    first, recall = here.ios.parcels
    assert recall.collapse_id == first.collapse_id
    assert await here.inbox("ben") == []
    story = await here.all.traces.event("e1")
    assert (story.outcome, story.reason) == ("removed", "retracted")
    assert "push_recall_sent" in [step.step for step in story.steps]


async def test_a_device_gets_its_new_token_and_keeps_its_id(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    device = await here.phone("ben", "old")
    await here.phone("cleo", "new")
    path = f"/v1/users/ben/devices/{device}"
    body = {
        "platform": "ios",
        "token": apns("new"),
        "topic": "org.example.app",
        "environment": "sandbox",
    }
    assert (await api.put(path, json=body, headers=CLEO)).status_code == 404
    answer = await api.put(path, json=body, headers=BEN)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["token"]) == (str(device), apns("new"))
    await here.send(event("e1", actor_id="ada"))
    await here.ended(1)
    target = here.ios.parcels[0].target
    assert target.address == apns("new")
    assert target.keys == {"topic": "org.example.app", "environment": "sandbox"}
    assert await here.accounts.devices.of(here.ids["cleo"]) == []


async def test_mail_addresses_are_for_the_backend_to_say(
    here: Delivered, api: httpx.AsyncClient
) -> None:
    mine = await api.patch("/v1/users/ben", json={"email": "ben@example.org"}, headers=BEN)
    assert (mine.status_code, mine.json()["code"]) == (403, "server_key_needed")
    users = {"users": [{"external_id": "ben", "email": "ben@example.org"}]}
    assert (await api.post("/v1/users/bulk", json=users, headers=KEY)).is_success
    assert (await api.get("/v1/users/ben", headers=BEN)).json()["email"] == "ben@example.org"
    for bad in ("ben", "a@b@c", "a b@c", "a@b\r\nbcc: x@y", "<a@b>"):
        wrong = await api.patch("/v1/users/ben", json={"email": bad}, headers=KEY)
        assert wrong.status_code == 422, bad


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
async def test_times_at_the_ends_of_the_calendar_are_refused(
    api: httpx.AsyncClient, at: str
) -> None:
    """Saved, such a snooze would fail every notification of its owner on its way to push."""
    supposed = {"event_type": "like", "recipient_id": "ben", "actor_id": "ada", "at": at}
    far = {"snooze_until": at}
    answers = [
        await api.post("/v1/quiet-hours/simulate", json={"at": at}, headers=BEN),
        await api.post("/v1/notifications/explain", json=supposed, headers=KEY),
    ]
    if at.startswith("9"):
        answers.append(await api.put("/v1/quiet-hours", json=far, headers=BEN))
        answers.append(
            await api.post("/v1/quiet-hours/simulate", json={"schedule": far}, headers=BEN)
        )
    for answer in answers:
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_times_beyond_the_calendar_redrive_nothing(api: httpx.AsyncClient, at: str) -> None:
    for bound in ("since", "until"):
        answer = await api.post("/v1/deliveries/redrive", json={bound: at}, headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "time_out_of_range")
