"""Count valid callers that are refused while their address sends bad credentials."""

import asyncio
from collections import Counter
from time import perf_counter
from uuid import uuid4

from nova.bench.attack import flood_sender
from nova.bench.attack.floods import bad_credentials
from nova.bench.attack.subprocesses import worker
from nova.bench.client import Caller, Subscriber
from nova.bench.notifications import create_users
from nova.bench.processes import Server, serving
from nova.web.tokens import mint

PEOPLE = 10
PACE_S = 0.05
REFUSED = {429, 503}
SPARE_S = 120.0
"""A flooder is told to end; by then it ends by itself."""


async def measured(seconds: float) -> dict[str, float]:
    """Count how often valid callers were refused."""
    async with serving({}) as server:
        caller = await Caller.open(server.host, server.port, server.server_key)
        names = [f"user-{number}" for number in range(PEOPLE)]
        await create_users(caller, names)
        caller.close()
        forged = mint("x" * 64, names[0])
        order = flood_sender.Order(
            server.host, server.port, seconds + SPARE_S, tuple(bad_credentials(forged).values())
        )
        async with worker("nova.bench.attack.flood_sender", order) as guessing:
            await guessing.begin()
            refused, asked = await _valid(server, names, seconds)
            guessing.end()
            sent = await guessing.result(flood_sender.Sent)
    return {
        "valid_429": refused,
        "valid_requests": asked,
        "bad_credentials_mb_per_s": sent.bytes / sent.seconds / 1e6,
    }


async def _valid(server: Server, names: list[str], seconds: float) -> tuple[int, int]:
    """Call as users and as the app's backend; return how many were refused, of how many."""
    until = perf_counter() + seconds
    said: Counter[int] = Counter()
    number = 0
    while perf_counter() < until:
        name = names[number % len(names)]
        number += 1
        calls = [
            _http(server, _fresh(server, name), "/v1/users/me"),
            _http(server, server.server_key, f"/v1/users/{name}"),
        ]
        if number % 4 == 0:
            calls.append(_socket(server, _fresh(server, name)))
        said.update(await asyncio.gather(*calls))
        await asyncio.sleep(PACE_S)
    if unexpected := {*said} - REFUSED - {200}:
        raise RuntimeError(f"valid callers were answered {unexpected}")
    return sum(said[status] for status in REFUSED), said.total()


def _fresh(server: Server, name: str) -> str:
    """Return a token that the server has not verified before."""
    return mint(server.token_secret, name, jti=str(uuid4()))


async def _http(server: Server, key: str, path: str) -> int:
    caller = await Caller.open(server.host, server.port, key)
    try:
        return (await caller.ask("GET", path))[0]
    finally:
        caller.close()


async def _socket(server: Server, token: str) -> int:
    """Connect a socket; return 200, or 429 if it was not let in."""
    try:
        opened = await Subscriber.open(server.host, server.port, token, lambda _message: None)
    except ConnectionError:
        return 429
    opened.close()
    return 200
