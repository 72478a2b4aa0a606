"""Erase a person who used every feature, and count the places that still hold their data."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import perf_counter
from uuid import UUID

import msgspec

from nova.adapters.postgres.embedded import attach
from nova.adapters.postgres.pool import open_pool
from nova.bench.client import Caller, Subscriber, asked
from nova.bench.erased_traces import Trace, erased_traces
from nova.bench.processes import Server, serving
from nova.bench.transports import simulated, variables
from nova.ports.database import Pool
from nova.web.tokens import mint

GOOD = range(200, 300)
SETTLED_S = 60.0
QUIET_S = 3.0
HOUR_S = 3600

PERSON, NAME, MAILBOX = "zwicky-7", "Zwicky Quarzfels", "zwicky@mail.example"
WORDS = ("zwicky", "Quarzfels", "quarzwort", "zwickyphone")
"""What only this person is called, has, or said: each text of theirs holds `quarzwort`."""
AWAKE, ASLEEP, GATHERING, BROKEN, PRIVATE, OTHER = WITNESSES = (
    "awake",
    "asleep",
    "gathering",
    "broken",
    "private",
    "other",
)
"""Those whom the person's deeds reach: with a phone, in quiet hours, with digests, with a phone
whose pushes end as dead letters, with a private account; and one who does the same things."""

# A record that this consumer cannot store becomes a dead letter.
POISON = "alter table notifications.inbox add check (body not like '%poison%') not valid"
ANTIDOTE = "alter table notifications.inbox drop constraint inbox_body_check"

DEAD = "select count(*) from backbone.dead_letters"
MOVES = """
select concat_ws(' ', (select count(*) from notifications.inbox),
    (select count(*) from deliveries.deliveries), (select count(*) from deliveries.attempts),
    (select count(*) from deliveries.entries), (select max(position) from backbone.event_log))
"""

Request = tuple[str, str, object]


async def measured(within_s: float, progress: Callable[[str], None]) -> dict[str, float]:
    """Erase a person, and count the places that still know of them."""
    settings = {"NOVA_OUTGOING_ALLOWED_NETWORKS": "127.0.0.0/8"}
    async with (
        simulated("fcm") as simulator,
        serving({**variables(simulator), **settings}) as server,
        open_pool(await _dsn(server), size=1, wait_s=5.0) as pool,
    ):
        backend = await Caller.open(server.host, server.port, server.server_key)
        id_ = await _lived(server, backend, pool)
        words: list[str | UUID] = [*WORDS, id_]
        before = await erased_traces(pool, words, [server.data.parent])
        await asked(backend, "DELETE", f"/v1/users/{PERSON}", good=GOOD)
        start = perf_counter()
        left = await _left(pool, words, server, within_s)
        gone_s = perf_counter() - start
        backend.close()
    for trace in left:
        progress(f"left after the erasure: {trace.word} in {trace.place}, {trace.found} times")
    return {
        "erased_traces": len(left),
        "traces_before": len(before),
        "erased_within_s": gone_s,
    }


async def _dsn(server: Server) -> str:
    dsn = await attach(server.data / "postgres")
    if dsn is None:
        raise RuntimeError("the server's PostgreSQL cannot be reached")
    return dsn


async def _left(
    pool: Pool, words: list[str | UUID], server: Server, within_s: float
) -> list[Trace]:
    """Return what is left when nothing is, or after a while."""
    left: list[Trace] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while left := await erased_traces(pool, words, [server.data.parent]):  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(1.0)
    return left


async def _lived(server: Server, backend: Caller, pool: Pool) -> UUID:
    """Have a person do all that leaves something behind; return their id."""
    names = {name: {"external_id": name, "name": name.title()} for name in WITNESSES}
    person = {
        "external_id": PERSON,
        "name": NAME,
        "email": MAILBOX,
        "avatar_url": "https://pictures.example/zwicky.png",
        "profile": {"motto": "quarzwort"},
    }
    mailboxes = [{**each, "email": f"{name}@mail.example"} for name, each in names.items()]
    await _do(backend, ("POST", "/v1/users/bulk", {"users": [person, *mailboxes]}))
    said = await asked(backend, "GET", f"/v1/users/{PERSON}")
    id_ = UUID(msgspec.json.decode(said)["id"])
    for request in _surroundings():
        await _do(backend, request)
    post = await _made(backend, f"/v1/posts?user={AWAKE}", "A post")
    token = mint(server.token_secret, PERSON, jti="token-7")
    own = await Caller.open(server.host, server.port, token)
    socket = await Subscriber.open(server.host, server.port, token, lambda _message: None)
    await _acts(own, post)
    await _is_told(backend, own, post)
    await pool.run(POISON)
    await _made(own, f"/v1/posts/{post}/comments", "quarzwort, poison")
    await _until_dead(pool)
    await pool.run(ANTIDOTE)
    await _do(backend, ("POST", "/v1/tokens/revoke", {"token": token}))
    own.close()
    socket.close()
    await _settled(pool)
    return id_


def _surroundings() -> list[Request]:
    """Return what others have set up."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    digest = {"digests": {"email": {"window_s": HOUR_S}}}
    return [
        *(
            ("PUT", f"/v1/users/{name}/devices", {"platform": "android", "token": f"{name}-phone"})
            for name in (AWAKE, ASLEEP)
        ),
        (
            "PUT",
            f"/v1/users/{BROKEN}/devices",
            {"platform": "android", "token": "INVALID_ARGUMENT.phone"},
        ),
        ("PUT", f"/v1/users/{ASLEEP}/quiet-hours", {"snooze_until": until}),
        ("PUT", f"/v1/users/{PRIVATE}/privacy", {"private": True}),
        ("PUT", "/v1/delivery-policies/comment", digest),
        ("PUT", "/v1/delivery-policies/like", digest),
        ("PUT", "/v1/delivery-policies/mention", {"escalate_after_s": {"email": HOUR_S}}),
        ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/hook"}),
    ]


async def _acts(own: Caller, post: str) -> None:
    """Do what one can do to others."""
    everybody = " ".join(f"@{name}" for name in WITNESSES)
    device = {"platform": "android", "token": "zwickyphone-1"}
    await _do(own, ("PUT", "/v1/users/me/devices", device))
    await _made(own, "/v1/posts", f"quarzwort #quarzwort {everybody}")
    narrow = {"text": "quarzwort", "visibility": "followers"}
    await _do(own, ("POST", "/v1/posts", narrow))
    comment = await _made(own, f"/v1/posts/{post}/comments", f"quarzwort {everybody}")
    await _do(own, ("PATCH", f"/v1/comments/{comment}", {"text": f"quarzwort, edited {everybody}"}))
    await _do(own, ("PUT", f"/v1/posts/{post}/like", None))
    for name in WITNESSES:
        await _do(own, ("PUT", f"/v1/users/me/following/{name}", None))
    for tie in ("mutes", "close-friends"):
        await _do(own, ("PUT", f"/v1/users/me/{tie}/{OTHER}", None))
    await _do(own, ("PATCH", "/v1/preferences", {"types": {"like": {"email": False}}}))
    await _do(own, ("PUT", "/v1/quiet-hours", {"timezone": "Europe/Zurich"}))


async def _is_told(backend: Caller, own: Caller, post: str) -> None:
    """Have others do things to the person, and the app send events by and to them."""
    mine = msgspec.json.decode(await asked(own, "GET", "/v1/users/me/posts"))["data"]
    for each in mine:
        if each["visibility"] == "public":
            await _do(backend, ("PUT", f"/v1/posts/{each['id']}/like?user={OTHER}", None))
            await _made(backend, f"/v1/posts/{each['id']}/comments?user={OTHER}", "Well said")
    await _do(backend, ("PUT", f"/v1/posts/{post}/like?user={OTHER}", None))
    await _do(backend, ("PUT", f"/v1/users/{OTHER}/following/{PERSON}", None))
    events = [
        {
            "id": f"event-{number}",
            "event_type": kind,
            "recipient_id": to,
            "actor_id": by,
            "related_entity_id": post,
            "metadata": {"text": "quarzwort"},
        }
        for number, (kind, to, by) in enumerate(
            [
                *(("comment", name, PERSON) for name in (AWAKE, ASLEEP, GATHERING, BROKEN)),
                *(("mention", name, PERSON) for name in (AWAKE, ASLEEP, GATHERING, BROKEN)),
                ("comment", PERSON, OTHER),
            ]
        )
    ]
    await _do(backend, ("POST", "/v1/events", events))


async def _do(caller: Caller, request: Request) -> bytes:
    method, path, body = request
    encoded = b"" if body is None else msgspec.json.encode(body)
    return await asked(caller, method, path, encoded, good=GOOD)


async def _made(caller: Caller, path: str, text: str) -> str:
    made = msgspec.json.decode(await _do(caller, ("POST", path, {"text": text})))
    return str(made["id"])


async def _until_dead(pool: Pool) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_S):
            while not await pool.value(DEAD):  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.2)


async def _settled(pool: Pool) -> None:
    """Return when nothing has moved for a while."""
    seen, since = "", perf_counter()
    start = since
    while perf_counter() - since < QUIET_S and perf_counter() - start < SETTLED_S:
        if (now := await pool.value(MOVES)) != seen:
            seen, since = now, perf_counter()
        await asyncio.sleep(0.2)
