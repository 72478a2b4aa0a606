"""Measure how long a revoked right works in a process whose LISTEN connection is lost."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any

import msgspec
from msgspec import Struct

from nova.bench.client import Caller, Subscriber, asked
from nova.bench.notifications import create_users
from nova.bench.processes import Server, running
from nova.bench.proxied_postgres import proxied_postgres
from nova.bench.proxy import Proxy
from nova.web.tokens import mint

LOOK_S = 0.02
OPENING_S = 10.0
GOOD = range(200, 300)
ROUNDS = ("at_once", "later")
"""Right after the process became deaf, and when it has been deaf for a while."""
MODES: Mapping[str, str] = {"silent": "deaf", "unnotified": "unnotified"}
"""Ways to be deaf, and how to tell the proxy: nothing comes, or answers but no notifications."""


class Pair(Struct, frozen=True):
    """A server that hears, and one that will not; they share a database."""

    near: Server
    far: Server


Holds = Callable[[], Awaitable[bool]]


class Right(Struct, frozen=True):
    """What somebody may do at the far server, and the request that takes it away at the near."""

    holds: Mapping[str, Holds]
    ending: tuple[str, str, object]


async def measured(given_up_s: float) -> dict[str, float | Mapping[str, float]]:
    """Take rights away at one process, and look for so long at another one that is deaf."""
    took: dict[str, float] = {}
    for mode, attribute in MODES.items():
        async with _pair() as (pair, proxy):
            for each in ROUNDS:
                rights = await _rights(pair, each)
                setattr(proxy, attribute, True)
                lived = await asyncio.gather(
                    *(_ended(pair.near, right, given_up_s) for right in rights)
                )
                took |= {f"{mode}_{each}_{k}": s for some in lived for k, s in some.items()}
    sockets = [seconds for case, seconds in took.items() if case.endswith("_socket")]
    return {"deaf_revocation_s": max(sockets), "deaf_revocation_s_by_case": took}


@asynccontextmanager
async def _pair() -> AsyncIterator[tuple[Pair, Proxy]]:
    secret = secrets.token_hex(32)
    async with proxied_postgres() as (folder, proxy, dsn):
        near_folder, far_folder = folder / "near", folder / "far"
        near_folder.mkdir()
        (far_folder / "data").mkdir(parents=True)
        async with running(near_folder, secret, {"NOVA_DATABASE": dsn}) as near:
            (far_folder / "data" / "server.key").write_text(near.server_key, "ascii")
            async with running(far_folder, secret, {"NOVA_DATABASE": proxy.dsn}) as far:
                yield Pair(near, far), proxy


async def _rights(pair: Pair, name: str) -> list[Right]:
    """Give people of this round rights, and use each once, so that caches hold them."""
    near, far = pair.near, pair.far
    users = {case: f"{case}-{name}" for case in ("token", "tokens", "suspended", "erased", "block")}
    tokens = {case: mint(near.token_secret, user, jti=user) for case, user in users.items()}
    backend = await Caller.open(near.host, near.port, near.server_key)
    await create_users(backend, [*users.values(), f"author-{name}"])
    post = await _made(backend, f"/v1/posts?user=author-{name}", {"text": "Hello"})
    key = await _made(backend, "/v1/keys", {"name": name})
    backend.close()
    endings: dict[str, tuple[str, str, object]] = {
        "token": ("POST", "/v1/tokens/revoke", {"token": tokens["token"]}),
        "tokens": ("POST", "/v1/tokens/revoke", {"user": users["tokens"]}),
        "suspended": ("PATCH", f"/v1/users/{users['suspended']}", {"suspended": True}),
        "erased": ("DELETE", f"/v1/users/{users['erased']}", None),
    }
    rights = [
        Right(
            {
                f"{case}_socket": await _opened(far, tokens[case]),
                f"{case}_http": _asking(far, tokens[case], "/v1/users/me"),
            },
            ending,
        )
        for case, ending in endings.items()
    ]
    blocks = ("PUT", f"/v1/users/author-{name}/blocks/{users['block']}", None)
    reads = _asking(far, tokens["block"], f"/v1/posts/{post['id']}")
    lists = _asking(far, key["secret"], "/v1/users?limit=1")
    rights.append(Right({"block_http": reads}, blocks))
    rights.append(Right({"key_http": lists}, ("DELETE", f"/v1/keys/{key['id']}", None)))
    for right in rights:
        await asyncio.gather(*(holds() for holds in right.holds.values()))
    return rights


async def _made(backend: Caller, path: str, body: object) -> dict[str, str]:
    answer = await asked(backend, "POST", path, msgspec.json.encode(body), good=GOOD)
    return msgspec.json.decode(answer, type=dict[str, Any])


async def _opened(server: Server, token: str) -> Holds:
    """Open a socket. A server that is deaf may refuse it: then it does not hold."""
    socket: Subscriber | None = None
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(OPENING_S):
            socket = await Subscriber.open(server.host, server.port, token, lambda _message: None)

    async def is_open() -> bool:
        return socket is not None and not socket.ended

    return is_open


def _asking(server: Server, key: str, path: str) -> Holds:
    async def is_answered() -> bool:
        caller = await Caller.open(server.host, server.port, key)
        try:
            return (await caller.ask("GET", path))[0] in GOOD
        finally:
            caller.close()

    return is_answered


async def _ended(server: Server, right: Right, given_up_s: float) -> dict[str, float]:
    """Take a right away, and return how many seconds each use of it went on."""
    method, path, body = right.ending
    backend = await Caller.open(server.host, server.port, server.server_key)
    encoded = b"" if body is None else msgspec.json.encode(body)
    await asked(backend, method, path, encoded, good=GOOD)
    backend.close()
    until = perf_counter() + given_up_s
    lived = await asyncio.gather(*(_lived(holds, until) for holds in right.holds.values()))
    return dict(zip(right.holds, lived, strict=True))


async def _lived(holds: Holds, until: float) -> float:
    start = perf_counter()
    while perf_counter() < until and await holds():  # noqa: ASYNC110  # nobody announces it
        await asyncio.sleep(LOOK_S)
    return perf_counter() - start
