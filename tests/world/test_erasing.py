"""Who is erased is found nowhere afterwards: not as actor, recipient or author, whatever it was."""

import asyncio
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nova.adapters.postgres.pool import PostgresPool
from nova.bench.commits import CommitPoint
from nova.bench.erased_traces import erased_traces
from nova.bench.proxy import proxied
from support.app import App, like
from support.clients import websocket
from support.deployment import Deployment, deployed
from support.waiting import until

ANN = "ann-canary-0f3e"
NAME, MAIL = "Canaria Annesley", "annesley.canary@example.org"
PICTURE, TOKEN = "https://pictures.example/canary-ann.png", "c0ffee" * 11
ENDPOINT = "https://push.example/canary-endpoint"
TEXTS = ("canary-post", "canary-comment", "canary-metadata", "canary-room", "canary-profile")
NIGHTS = {
    "days": {
        day: [{"start": "00:00", "end": "23:59"}]
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    }
}
UNDELIVERABLE = """
alter table notifications.inbox add constraint deliverable check (event_id not like 'bad-%')
"""
LETTERS = "select count(*) from backbone.dead_letters"
ERASING = "delete from accounts.users"
TAKING_BACK = "update notifications.boxes"
SEARCHING = "delete from backbone.event_log"
BEGUN = """
insert into accounts.erasures (id, user_id, by_id, requested_at)
values (gen_random_uuid(), $1, encode(sha256('somebody'), 'hex'), now() - interval '1 hour')
"""
SETTINGS = {
    "NOVA_NAMESPACES": '[{"name": "room", "publish": true, "history_size": 100}]',
    "NOVA_TOKENS_CREATE_USERS": "true",
    "NOVA_LOG_ATTEMPTS": "2",
    "NOVA_DELIVERIES_PUBLIC_URL": "https://nova.example",
}


def browser(endpoint: str) -> dict[str, Any]:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = {"p256dh": _url64(raw), "auth": _url64(b"sixteen bytes ok")}
    return {"platform": "web", "subscription": {"endpoint": endpoint, "keys": keys}}


def _url64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Town:
    """Ann and three others, and everything that Nova lets them do to each other."""

    def __init__(self, deployment: Deployment, app: App) -> None:
        self.deployment = deployment
        self.app = app
        self.ids: dict[str, str] = {}

    @property
    def words(self) -> list[str | UUID]:
        """What must be found nowhere once Ann is erased."""
        found: list[str | UUID] = [UUID(self.ids[ANN]), ANN, NAME, MAIL, PICTURE]
        return [*found, TOKEN, ENDPOINT, *TEXTS]

    async def call(
        self, user: str | None, method: str, path: str, body: Any = None, **more: Any
    ) -> Any:
        async with self.app.client(user) as client:
            answer = await client.request(method, f"/v1/{path}", json=body, **more)
        said = self.deployment.output[-3_000:].decode()
        assert answer.is_success, f"{method} {path}: {answer.text}\n{said}"
        return answer.json() if answer.content else None

    async def settle(self) -> None:
        """Let people come, with their devices, mailboxes and quiet hours."""
        ann: dict[str, Any] = {
            "external_id": ANN,
            "name": NAME,
            "email": MAIL,
            "avatar_url": PICTURE,
        }
        ann |= {"profile": {"bio": "canary-profile"}}
        await self.call(None, "POST", "users", ann, headers={"idempotency-key": "canary-key"})
        others = [
            {"external_id": name, "name": name.title(), "email": f"{name}@example.org"}
            for name in ("bob", "carol", "dan")
        ]
        await self.call(None, "POST", "users/bulk", {"users": others})
        for name in (ANN, "bob", "carol", "dan"):
            self.ids[name] = (await self.call(None, "GET", f"users/{name}"))["id"]
            token = TOKEN if name == ANN else (name.encode().hex() * 32)[:64]
            for platform in ("ios", "android"):
                device = {"platform": platform, "token": token}
                await self.call(name, "PUT", "users/me/devices", device)
            endpoint = ENDPOINT if name == ANN else f"https://push.example/{name}"
            await self.call(name, "PUT", "users/me/devices", browser(endpoint))
        await self.call("carol", "PUT", "quiet-hours", NIGHTS)
        await self.call(None, "PUT", "delivery-policies/like", {})
        gathered = {"digests": {"email": {"window_s": 3600}, "push": {"window_s": 1}}}
        await self.call(None, "PUT", "delivery-policies/comment", gathered)
        hook = {"url": "https://hooks.invalid/nova"}
        await self.call(None, "POST", "webhooks", hook)

    async def live(self) -> None:
        """Have everybody do everything to everybody."""
        ann, bob = self.ids[ANN], self.ids["bob"]
        written: dict[str, str] = {}
        for name, text in ((ANN, "canary-post for @bob"), ("bob", f"hello @{ANN} and @carol")):
            post = await self.call(
                name, "POST", "posts", {"text": text}, headers={"idempotency-key": "canary"}
            )
            written[name] = post["id"]
        plain = (await self.call("carol", "POST", "posts", {"text": "a plain one"}))["id"]
        for post, names in (
            (written["bob"], ("carol", ANN, "dan")),
            (plain, (ANN, "bob", "dan")),
            (written[ANN], ("bob", "carol")),
        ):
            for name in names:
                await self.call(name, "PUT", f"posts/{post}/like")
        said = {"text": "canary-comment for @carol"}
        comment = await self.call(ANN, "POST", f"posts/{written['bob']}/comments", said)
        answer = {"text": "an answer", "reply_to": comment["id"]}
        await self.call("bob", "POST", f"posts/{written['bob']}/comments", answer)
        named = {"text": f"see @{ANN}"}
        await self.call("bob", "POST", f"posts/{plain}/comments", named)
        await self.call("bob", "POST", f"posts/{written[ANN]}/comments", {"text": "well said"})
        await self.call("carol", "PUT", "users/me/privacy", {"private": True})
        for who, how, whom in (
            (ANN, "following", "bob"),
            (ANN, "following", "carol"),
            ("bob", "following", ANN),
            ("bob", "close-friends", ANN),
            ("bob", "mutes", "dan"),
            (ANN, "mutes", "dan"),
            ("dan", "blocks", ANN),
        ):
            await self.call(who, "PUT", f"users/me/{how}/{whom}")
        await self.call("carol", "DELETE", f"users/me/suggestions/{ANN}")
        off = {"channels": {"email": False}}
        await self.call(ANN, "PATCH", "preferences", off)
        await self.publish(ANN, f"room:{ann},{bob}", {"text": "canary-room"})
        await self.publish(ANN, "room:lobby", {"text": "canary-room"})
        by_app = {"data": {"from": ANN, "text": "canary-room"}}
        await self.call(None, "POST", "channels/room:lobby/publications", by_app)
        said_by_ann = {"text": "canary-metadata", "title": "canary-metadata"}
        await self.app.send(
            like(to="bob", by=ANN, id=f"order-{ANN}-1", metadata=said_by_ann),
            like(to="carol", by=ann, metadata=said_by_ann),
            like(to="carol", by="bob", related_entity_id=ANN, id=f"visit-{uuid4()}:{ANN}"),
            like(to=ANN, by="bob", metadata={"text": "about it"}),
            like(to=ANN, by=ANN, metadata=said_by_ann),
            like(to="nobody", by=ANN, metadata=said_by_ann),
            like(to="dan", by=ANN, metadata=said_by_ann),
            like(to="carol", by="bob", related_entity_id=ann, metadata={"who": ANN, "id": ann}),
            like(to="bob", by=ANN, id="bad-1", metadata=said_by_ann),
            like(to="bob", by="carol", id="bad-2", metadata={"who": ann}),
        )
        about_ann = {"metadata": {"who": ANN}, "related_entity_id": ANN}
        for id_, by, more in (
            ("1", "bob", {}),
            ("2", ANN, {"metadata": said_by_ann}),
            (f"3-{ANN}", "dan", about_ann),
        ):
            one = like(to="carol", by=by, id=f"group-{id_}", group_key=f"of {ANN}", **more)
            await self.app.send(one)
        for id_, by in (("1", ANN), ("2", "carol"), ("3", "dan")):
            one = like(to="bob", by=by, id=f"led-{id_}", group_key="led", metadata={"by": by})
            await self.app.send(one)

    async def publish(self, user: str, channel: str, data: Any) -> None:
        """Publish over a socket, as the user's own app does."""
        server = self.app.server
        said: list[dict[str, Any]] = [
            {"connect": {"token": self.app.token(user)}},
            {"subscribe": {"channel": channel}},
            {"publish": {"channel": channel, "data": data}},
        ]
        address = f"ws://{server.host}:{server.port}/connection/websocket"
        async with websocket(address) as socket:
            for number, command in enumerate(said, 1):
                await socket.send(json.dumps({"id": number} | command))
                while (answer := json.loads((await socket.recv()).splitlines()[0])) and (
                    answer.get("id") != number
                ):
                    pass
                assert "error" not in answer, answer

    async def erase(self) -> None:
        await self.call(None, "DELETE", f"users/{ANN}")

    async def complete(self) -> None:
        """Wait until the erasure says that it is complete, by either id."""

        async def said() -> bool:
            state = await self.call(None, "GET", f"erasures/{ANN}")
            return state["complete_at"] is not None

        await until(said)
        assert (await self.call(None, "GET", f"erasures/{self.ids[ANN]}"))["complete_at"]

    async def consistent(self) -> None:
        """Check that everybody's counts are those of their inboxes, and their exports of Ann."""
        for name in ("bob", "carol", "dan"):
            inbox = await self.app.inbox(name)
            unread = sum(each.get("read_at") is None for each in inbox)
            assert (await self.app.counts(name))["unread"] == unread
            async with self.app.client(name) as client:
                export = (await client.get("/v1/users/me/export")).text
            assert not [word for word in self.words if str(word) in export]


async def test_nothing_of_an_erased_person_is_found_anywhere(
    tmp_path: Path, dsn: str, pool: PostgresPool
) -> None:
    await pool.run(UNDELIVERABLE)
    async with deployed(tmp_path, NOVA_DATABASE=dsn, **SETTINGS) as deployment:
        town = Town(deployment, await deployment.start())
        await town.settle()
        async with town.app.phone("bob"), town.app.phone(ANN):
            await town.live()
            await until(lambda: _dead(pool, 2))
            await until(lambda: _places(pool, town, EXPECTED))
            await pool.run("analyze")
            await town.erase()
            await town.complete()
        assert await erased_traces(pool, town.words, [tmp_path]) == []
        await town.consistent()
        told = {
            each["event_id"]: each["title"]
            for who in ("bob", "carol")
            for each in await town.app.inbox(who)
        }
        assert told["group-1"] == "Bob and 1 other liked your post"
        assert told["led-2"] == "Carol liked your post"  # Bob has muted Dan

        # What comes afterwards brings nobody back, and is not kept either.
        text = {"text": "canary-metadata"}
        results = await town.app.send(
            like(to="bob", by=ANN, id=f"order-{ANN}-2", metadata=text),
            like(to=ANN, by="bob", metadata=text),
            like(to="bob", by=town.ids[ANN], metadata=text),
        )
        assert {each["status"] for each in results} == {"accepted"}
        async with town.app.client(ANN) as client:
            assert (await client.get("/v1/users/me")).status_code == 401
        async with town.app.client(town.ids[ANN]) as client:
            assert (await client.get("/v1/users/me")).status_code == 401
        assert await erased_traces(pool, town.words, [tmp_path]) == []
        assert await pool.value("select count(*) from accounts.users") == 3

        # Until the app says so: then it is somebody new, of whom everything is told.
        await town.call(None, "POST", "users", {"external_id": ANN, "name": "New"})
        await town.app.send(event := like(to="bob", by=ANN))
        await until(lambda: _has(town.app, "bob", event["id"]))
    said = deployment.output.decode()
    assert not [word for word in town.words if str(word) in said]


EXPECTED = {
    "accounts.users",
    "accounts.devices",
    "backbone.dead_letters",
    "backbone.intake",
    "backbone.publications",
    "backbone.channels",
    "deliveries.deliveries",
    "deliveries.entries",
    "deliveries.outbox",
    "notifications.gathered",
    "notifications.inbox",
    "notifications.suppressed",
    "posts.posts",
    "posts.comments",
    "posts.likes",
    "graph.people",
    "web.idempotency",
}
"""Where Ann is before: a place that she never was proves nothing."""


async def _dead(pool: PostgresPool, count: int) -> bool:
    return bool(await pool.value(LETTERS) >= count)


async def _places(pool: PostgresPool, town: Town, places: set[str]) -> bool:
    return places <= {trace.place for trace in await erased_traces(pool, town.words)}


async def _has(app: App, user: str, event: str) -> bool:
    return event in {each["event_id"] for each in await app.inbox(user)}


async def test_an_erasure_goes_on_where_the_server_was_killed(
    tmp_path: Path, dsn: str, pool: PostgresPool
) -> None:
    """After the user is gone, while notifications are taken back, and in the search of the log."""
    (tmp_path / "proxy").mkdir()
    (tmp_path / "data").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn, **SETTINGS) as deployment,
    ):
        town = Town(deployment, await deployment.start())
        await town.settle()
        await town.live()
        await until(lambda: _places(pool, town, {"deliveries.outbox", "deliveries.entries"}))
        proxy.at = point = CommitPoint(ERASING, deployment.strike, kept=True)
        with suppress(httpx.TransportError):
            await town.erase()
        await point.reached()
        for commit in (TAKING_BACK, SEARCHING):
            await deployment.gone()
            proxy.at = point = CommitPoint(commit, deployment.strike, kept=False)
            town.app = await deployment.start()
            await point.reached()
        await deployment.gone()
        town.app = await deployment.start()
        await town.complete()
        assert await erased_traces(pool, town.words, [tmp_path]) == []
        await town.consistent()


async def test_an_erasure_whose_request_was_cut_off_happens(
    tmp_path: Path, dsn: str, pool: PostgresPool
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, **SETTINGS) as deployment:
        town = Town(deployment, await deployment.start())
        await town.settle()
        await pool.run(BEGUN, UUID(town.ids[ANN]))
        await until(lambda: _gone(pool))
        await until(lambda: _complete(pool))
        assert await erased_traces(pool, town.words, [tmp_path]) == []


async def _gone(pool: PostgresPool) -> bool:
    return bool(await pool.value("select count(*) = 3 from accounts.users"))


async def _complete(pool: PostgresPool) -> bool:
    return bool(await pool.value("select bool_and(complete_at is not null) from accounts.erasures"))


async def test_events_on_their_way_while_somebody_is_erased_leave_nothing(
    tmp_path: Path, dsn: str, pool: PostgresPool
) -> None:
    """Queued, being decided, joined, pushed and tried again: others' events are told meanwhile."""
    async with deployed(tmp_path, NOVA_DATABASE=dsn, **SETTINGS) as deployment:
        town = Town(deployment, await deployment.start())
        await town.settle()
        others: list[str] = []
        begun = asyncio.Event()

        async def flood(to: str, by: str) -> None:
            text = {"text": "canary-metadata", "title": "canary-metadata"}
            for _ in range(6):
                await town.app.send(*(like(to=to, by=by, metadata=text) for _ in range(50)))
                begun.set()
                await town.app.send(event := like(to="bob", by="dan"))
                others.append(event["id"])

        async def erase() -> None:
            await begun.wait()
            await town.erase()

        floods = [("bob", ANN), ("carol", town.ids[ANN]), (ANN, "bob")]
        await asyncio.gather(erase(), *(flood(to, by) for to, by in floods))
        await town.complete()
        assert await erased_traces(pool, town.words, [tmp_path]) == []
        await until(lambda: _all(town.app, "bob", others))
        await town.consistent()


async def _all(app: App, user: str, events: list[str]) -> bool:
    return set(events) <= {each["event_id"] for each in await app.inbox(user)}
