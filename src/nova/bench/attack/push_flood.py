"""Count the pushes that one user can cause on another user's phone in a minute."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import perf_counter

import msgspec

from nova.bench.client import Caller, asked
from nova.bench.notifications import create_users
from nova.bench.processes import Server, serving
from nova.bench.transports import received, simulated, variables
from nova.settings.features import Deliveries
from nova.web.tokens import mint

POSTS = 5
HANDS = 4
"""Requests that the attacker has under way at once."""
PAUSE_S = 0.02
"""After a refusal: an attacker does not wait for as long as it is told."""
QUIET_S = 3.0
SETTLED_S = 60.0
GOOD = range(200, 300)

Request = tuple[str, str, bytes]


async def measured(seconds: float) -> dict[str, float]:
    """Comment, mention, like and follow as fast as is allowed, for so long."""
    async with simulated("fcm") as simulator, serving(variables(simulator)) as server:
        posts = await _prepared(server)
        said = await _attacked(server, posts, seconds)
        within = (await received(simulator))["count"]
        later = await _arrived(simulator) - within
    return {
        "pushes_to_one_victim_per_minute": within,
        "pushes_per_minute_by_default": Deliveries().pushes_per_minute,
        "pushes_later": later,
        "attacks_accepted": sum(number for status, number in said.items() if status in GOOD),
        "attacks_refused": said[429],
    }


async def _prepared(server: Server) -> list[str]:
    """Create an attacker, and a victim with a phone and some posts, whose ids are returned."""
    backend = await Caller.open(server.host, server.port, server.server_key)
    await create_users(backend, ["attacker", "victim"])
    device = msgspec.json.encode({"platform": "android", "token": "a-phone"})
    await asked(backend, "PUT", "/v1/users/victim/devices", device, good=GOOD)
    posts = []
    for number in range(POSTS):
        text = msgspec.json.encode({"text": f"Post {number}"})
        answer = await asked(backend, "POST", "/v1/posts?user=victim", text, good=GOOD)
        posts.append(msgspec.json.decode(answer)["id"])
    backend.close()
    return posts


async def _attacked(server: Server, posts: list[str], seconds: float) -> Counter[int]:
    """Return how often the attacker was answered what."""
    until = perf_counter() + seconds
    requests = _attacks(posts)
    said: Counter[int] = Counter()

    async def keep_attacking() -> None:
        caller = await Caller.open(server.host, server.port, mint(server.token_secret, "attacker"))
        while perf_counter() < until:
            status, _ = await caller.ask(*next(requests))
            said[status] += 1
            if status not in GOOD:
                await asyncio.sleep(PAUSE_S)
        caller.close()

    await asyncio.gather(*(keep_attacking() for _ in range(HANDS)))
    return said


def _attacks(posts: list[str]) -> Iterator[Request]:
    """Return requests that each tell the victim something, or make room for one that does."""
    for number in count():
        post = f"/v1/posts/{posts[number % len(posts)]}"
        yield "POST", f"{post}/comments", _text(f"Comment {number}")
        yield "POST", f"{post}/comments", _text(f"@victim, comment {number}")
        yield "POST", "/v1/posts", _text(f"@victim, post {number}")
        yield "PUT", f"{post}/like", b""
        yield "PUT", "/v1/users/me/following/victim", b""
        yield "DELETE", f"{post}/like", b""
        yield "DELETE", "/v1/users/me/following/victim", b""


def _text(text: str) -> bytes:
    return msgspec.json.encode({"text": text})


async def _arrived(simulator: Path) -> int:
    """Wait until no more pushes come, and return how many there were."""
    seen, since = -1, perf_counter()
    start = since
    while perf_counter() - since < QUIET_S and perf_counter() - start < SETTLED_S:
        if (now := (await received(simulator))["count"]) != seen:
            seen, since = now, perf_counter()
        await asyncio.sleep(0.2)
    return seen
