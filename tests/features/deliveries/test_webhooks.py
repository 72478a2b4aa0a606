"""Webhooks out: signed, retried, guarded, and stopped by a 410."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from nova.adapters.webhooks.poster import Poster
from nova.features.deliveries.lanes.gates import State
from nova.features.deliveries.lanes.lane import Pacing
from nova.features.deliveries.models import Redrive, Which
from nova.features.deliveries.webhooks import AT_ONCE, PATIENCE, NewWebhook, signed
from nova.ports.carriers import Outcome, Verdict
from support.delivered import Delivered, api_of_world, outcome
from support.http import SERVER, bearer
from support.notified import event
from support.waiting import until

KEY = bearer(SERVER)


class Receiver:
    """A host app's own server: keeps what it is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:]
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.calls.append((headers, body))
                status = self.answers.pop(0) if self.answers else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def events(self) -> list[Any]:
        return [msgspec.json.decode(body) for _, body in self.calls]


@pytest.fixture
async def app() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/nova"
    yield receiver
    server.close()


@pytest.fixture
async def api(here: Delivered) -> AsyncIterator[httpx.AsyncClient]:
    async with api_of_world(here) as client:
        yield client


async def test_a_delivery_is_told_with_a_signature_that_holds(
    here: Delivered, api: httpx.AsyncClient, app: Receiver
) -> None:
    made = await api.post("/v1/webhooks", json={"url": app.url}, headers=KEY)
    assert made.status_code == 201, made.text
    secret = base64.b64decode(made.json()["secret"].removeprefix("whsec_"))
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: app.calls)
    (headers, body), (event,) = app.calls[0], app.events
    assert event["type"] == "delivery.sent"
    assert event["data"]["user"] == str(here.ids["ben"])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(secret, content, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    await asyncio.sleep(0.2)
    assert len(app.calls) == 1  # that it was told is no news itself


async def test_a_call_names_people_as_they_are_called_when_it_is_made(
    here: Delivered, app: Receiver
) -> None:
    await here.deliveries.webhooks.add(NewWebhook(url=app.url))
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: app.calls)
    data = app.events[0]["data"]
    assert data["actor_id"] == str(here.ids["ada"])
    for field, name in (("actor", "Ada"), ("recipient", "Ben")):
        assert data[field] == {
            "id": str(here.ids[name.lower()]),
            "external_id": name.lower(),
            "name": name,
            "avatar_url": None,
        }
    await here.like("e2", by="nobody")
    await here.sees(lambda: len(app.calls) == 2)
    assert "actor" not in app.events[1]["data"]


def test_the_signature_is_that_of_the_standard() -> None:
    # The example of the specification's own libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1_614_265_330, UTC)
    headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def hurry(here: Delivered, **changes: float) -> None:
    names = {name: getattr(PATIENCE, name) for name in PATIENCE.__struct_fields__}
    soon = {"first_s": 0.01, "range_s": 0.0}
    here.deliveries.lanes["hook"].patience = type(PATIENCE)(**(names | soon | changes))


async def test_a_call_is_retried_with_the_same_id_and_only_what_is_wanted_is_told(
    here: Delivered, app: Receiver
) -> None:
    hurry(here)
    app.answers = ["500 Oh", "503 No", "302 Found"]
    await here.deliveries.webhooks.add(NewWebhook(url=app.url, events=["delivery.dead"]))
    await here.policy("like")
    await here.phone("ben")
    await here.like("fine")
    await here.ended(1)
    here.ios.always = outcome(Verdict.REFUSED, "PayloadTooLarge")
    await here.like("bad")
    await here.sees(lambda: len(app.calls) == 4)
    assert {event["type"] for event in app.events} == {"delivery.dead"}
    assert len({headers["webhook-id"] for headers, _ in app.calls}) == 1
    (call,) = await here.ended(1, channel="webhook")
    assert (call.status, call.attempts) == ("sent", 4)


def poster(here: Delivered) -> Poster:
    assert isinstance(here.hooks, Poster)
    return here.hooks


class Hanging:
    """Calls webhooks, of which one never answers."""

    def __init__(self, real: Poster, hanging: str) -> None:
        self._real = real
        self._hanging = hanging
        self.answering = asyncio.Event()
        self.hung = 0

    def check(self, url: str) -> str:
        return self._real.check(url)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        if url == self._hanging:
            self.hung += 1
            await self.answering.wait()
        return await self._real.post(url, headers, body)


async def test_a_webhook_that_hangs_delays_no_other(here: Delivered, app: Receiver) -> None:
    slow = app.url + "/slow"
    here.deliveries.webhooks._hooks = hooks = Hanging(poster(here), slow)
    for url in (slow, app.url):
        await here.deliveries.webhooks.add(NewWebhook(url=url))
    await here.policy("like")
    await here.phone("ben")
    count = Pacing().at_once + 20  # more than would fill a lane that they shared
    await here.send(*(event(f"e{n}", actor_id="ada") for n in range(count)))
    await here.sees(lambda: len(app.calls) == count)
    assert hooks.hung == AT_ONCE
    hooks.answering.set()
    await here.sees(lambda: len(app.calls) == 2 * count)


async def test_a_webhook_in_trouble_is_left_alone_and_no_other(
    here: Delivered, app: Receiver
) -> None:
    hurry(here, attempts=1000)
    broken = await here.deliveries.webhooks.add(NewWebhook(url="http://127.0.0.1:1/"))
    await here.deliveries.webhooks.add(NewWebhook(url=app.url))
    await here.policy("like")
    await here.phone("ben")
    await here.send(*(event(f"e{n}", actor_id="ada") for n in range(30)))
    await here.sees(lambda: len(app.calls) == 30)
    lane = here.deliveries.hooks
    await here.sees(lambda: lane.gate_of(broken.webhook.id).breaker.opened)
    assert lane.state(here.clock.monotonic()) is not State.CLOSED  # the worst of both
    await here.send(event("later", actor_id="ada"))
    await here.sees(lambda: len(app.calls) == 31)


async def test_a_webhook_moves_with_the_calls_that_wait_and_keeps_its_secret(
    here: Delivered, api: httpx.AsyncClient, app: Receiver
) -> None:
    made = await here.deliveries.webhooks.add(NewWebhook(url="http://127.0.0.1:1/"))
    other = await here.deliveries.webhooks.add(NewWebhook(url=app.url, events=["delivery.opened"]))
    hurry(here, attempts=1000, longest_s=0.05)
    path = f"/v1/webhooks/{made.webhook.id}"
    test = (await api.post(f"{path}/test", headers=KEY)).json()["delivery"]
    change = {"url": app.url + "/new", "events": ["delivery.dead"]}
    changed = await api.patch(path, json=change, headers=KEY)
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in change} == change
    await here.sees(lambda: app.calls)
    headers, body = app.calls[0]
    secret = base64.b64decode(made.secret.removeprefix("whsec_"))
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert (
        signed(secret, headers["webhook-id"], at, body)["webhook-signature"]
        == (headers["webhook-signature"])
    )
    for webhook, calls in ((made, [test["id"]]), (other, [])):
        params = {"webhook": str(webhook.webhook.id)}
        page = (await api.get("/v1/deliveries", params=params, headers=KEY)).json()
        assert [each["id"] for each in page["data"]] == calls
    for bad in ({"url": "ftp://example.org"}, {"events": ["delivery.eaten"]}, {"secret": "x"}):
        assert (await api.patch(path, json=bad, headers=KEY)).status_code == 422, bad
    unknown = await api.patch(f"/v1/webhooks/{here.ids['ben']}", json={}, headers=KEY)
    assert unknown.status_code == 404


async def test_who_answers_gone_is_told_nothing_more(
    here: Delivered, api: httpx.AsyncClient, app: Receiver
) -> None:
    made = await here.deliveries.webhooks.add(NewWebhook(url=app.url))
    app.answers = ["410 Gone"]
    await here.policy("like")
    await here.phone("ben")
    await here.like("e1")
    await here.ended(1, channel="webhook")
    await here.like("e2")
    await here.ended(2, channel="push")
    (seen,) = (await api.get("/v1/webhooks", headers=KEY)).json()["data"]
    assert seen["disabled_why"].startswith("It answered 410")
    assert len(app.calls) == 1
    path = f"/v1/webhooks/{made.webhook.id}"
    assert (await api.post(f"{path}/enable", headers=KEY)).is_success
    assert (await api.post(f"{path}/test", headers=KEY)).status_code == 202
    await here.sees(lambda: len(app.calls) == 2)
    assert app.events[1]["type"] == "webhook.test"
    assert (await api.delete(path, headers=KEY)).status_code == 204
    assert (await api.delete(path, headers=KEY)).status_code == 404


async def test_a_call_to_a_webhook_that_was_removed_is_not_redriven(
    here: Delivered, api: httpx.AsyncClient, app: Receiver
) -> None:
    hurry(here, attempts=1)
    hooks = here.deliveries.webhooks
    removed = await hooks.add(NewWebhook(url=app.url))
    kept = await hooks.add(NewWebhook(url=app.url))
    app.answers = ["500 Oh", "500 Oh"]
    calls = {hook.webhook.id: await hooks.test(hook.webhook.id) for hook in (removed, kept)}

    async def dead() -> bool:
        return len((await here.deliveries.log.page(Which(phase="dead"), None)).data) == 2

    await until(dead)
    await hooks.remove(removed.webhook.id)
    answer = await api.post(f"/v1/deliveries/{calls[removed.webhook.id]}/redrive", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_dead_delivery")
    assert "its webhook removed" in answer.json()["detail"]
    assert (await here.deliveries.log.redrive(Redrive(), None)).redriven == 1
    await here.sees(lambda: len(app.calls) == 3)
    assert app.calls[2][0]["webhook-id"] == str(calls[kept.webhook.id])


async def test_a_call_that_is_under_way_while_its_webhook_is_removed_is_not_tried_again(
    here: Delivered, app: Receiver
) -> None:
    webhooks = here.deliveries.webhooks
    webhooks._hooks = hooks = Hanging(poster(here), app.url)
    made = await webhooks.add(NewWebhook(url=app.url))
    app.answers = ["500 Oh"]
    call = await webhooks.test(made.webhook.id)
    await here.sees(lambda: hooks.hung)
    await webhooks.remove(made.webhook.id)
    hooks.answering.set()
    await here.sees(lambda: app.calls)

    async def dropped() -> bool:
        found = (await here.deliveries.log.one(call)).delivery
        return (found.phase, found.reason, found.code) == ("dropped", "webhook_removed", "500")

    await until(dropped)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://user:secret@example.org/",
        "https://exa mple.org/",
        "https:///x",
        "javascript:alert(1)",
    ],
)
async def test_an_address_that_nobody_should_call_is_refused(here: Delivered, url: str) -> None:
    here.deliveries.webhooks._hooks = strict = Poster(here.clock)
    async with api_of_world(here) as api:
        answer = await api.post("/v1/webhooks", json={"url": url}, headers=KEY)
    await strict.close()
    assert (answer.status_code, answer.json()["code"]) == (422, "forbidden_url")
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://[::ffff:169.254.169.254]/",
        "https://10.0.0.1/",
        "https://[64:ff9b::7f00:1]/",
    ],
)
async def test_an_address_that_leads_inside_is_not_called(here: Delivered, url: str) -> None:
    strict = Poster(here.clock)
    said = await strict.post(url, {}, b"{}")
    await strict.close()
    assert (said.verdict, said.code) in {
        (Verdict.REFUSED, "forbidden_address"),
        (Verdict.RETRY, "unsent"),  # not even a name here
    }
    assert said.verdict is Verdict.REFUSED or "localhost" not in url


async def test_a_receipt_that_says_nothing_new_is_told_to_nobody(
    here: Delivered, app: Receiver
) -> None:
    """A device that repeats itself, or goes back, must not make calls without end."""
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    await here.deliveries.webhooks.add(NewWebhook(url=app.url))
    for status in ("delivered", "delivered", "opened", "opened", "delivered"):
        await here.deliveries.log.receipt(row.id, here.ids["ben"], status)
    await here.like("e2")  # a person's facts keep their order: this one comes after the receipts
    await here.sees(lambda: any(event["type"] == "delivery.sent" for event in app.events))
    calls = "select type from deliveries.deliveries where lane = 'hook' order by type"
    kinds = [call["type"] for call in await here.pool.fetch(calls)]
    assert kinds == ["delivery.delivered", "delivery.opened", "delivery.sent"]
