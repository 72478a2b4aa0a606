"""`nova bench channels`, the part of kills: a server dies at every commit of the delivery path.

The server is a real one, so is its PostgreSQL, which lives on; what goes out arrives at a simulator
of FCM in another process, whose book is held against the ledger at the end.
"""

import asyncio
import os
import secrets
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from nova.adapters.postgres.pool import open_pool
from nova.bench.client import Caller
from nova.bench.commits import CommitPoint
from nova.bench.notifications import create_users
from nova.bench.processes import Server, running
from nova.bench.proxied_postgres import proxied_postgres
from nova.bench.proxy import Proxy
from nova.bench.transports import received, simulated, variables
from nova.ports.database import Pool

LANE = "android"
POINTS: Mapping[str, Sequence[str]] = {
    "planned": ("insert into deliveries.deliveries",),
    "claimed": ("lost as (", LANE),
    "recorded": ("with told as materialized",),
}
"""The commits of the path, by words of their statements: into the ledger, under a lease, with its
outcome. What comes before is `nova bench notifications`' affair."""
BUSY = 503
REACHED_S = SETTLED_S = 300.0
"""A lease that a killed process left is over after 35 seconds."""
UNBOUND = {"NOVA_DELIVERIES_PUSHES_PER_MINUTE": "0", "NOVA_DELIVERIES_THROTTLE_ACTORS": "false"}
"""One person gets everything from one other: what is bound would count as lost."""

LEFT = """
select (select count(*) from unnest($1::text[]) as a (event_id) where not exists (
            select from notifications.inbox i where i.event_id = a.event_id)) + (
        select count(*) from notifications.inbox i where not exists (
            select from deliveries.deliveries d where d.notification = i.id)) + (
        select count(*) from deliveries.deliveries where phase in ('waiting', 'held', 'standby'))
"""

LEDGER = """
select d.id, d.phase, d.resends, i.event_id from deliveries.deliveries d
  join notifications.inbox i on i.id = d.notification
"""


class Plan(Struct, frozen=True):
    """How often the server dies."""

    kills: int = 100
    events: int = 5
    """Sent before each."""


QUICK = Plan(kills=6)


class Entry(Struct, frozen=True):
    """What the ledger says of a delivery."""

    event: str
    resends: int


async def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, float]:
    """Kill, start again, and compare what was accepted with what arrived."""
    accepted: set[str] = set()
    async with _stage() as (settings, proxy, folder, simulator, dsn):
        secret = secrets.token_hex(32)
        for number in range(plan.kills):
            name, kept = list(POINTS)[number % len(POINTS)], bool(number // len(POINTS) % 2)
            if number % 10 == 0:
                progress(f"kills: {number} of {plan.kills}")
            async with running(folder, secret, settings) as server:
                if number == 0:
                    await _prepared(server)
                events = [f"kill-{number}-{each}" for each in range(plan.events)]
                accepted |= await _struck(server, proxy, POINTS[name], events, kept=kept)
        progress("kills: letting the last server finish")
        async with running(folder, secret, settings), open_pool(dsn, size=1, wait_s=5.0) as pool:
            await _settled(pool, accepted)
            rows = await pool.fetch(LEDGER)
        ledger = {row["id"]: Entry(row["event_id"], row["resends"]) for row in rows}
        return {"kills": float(plan.kills)} | judged(accepted, ledger, await _arrived(simulator))


def judged(
    accepted: set[str], ledger: Mapping[UUID, Entry], arrived: Mapping[UUID, Sequence[str]]
) -> dict[str, float]:
    """Count what was lost, and what came twice; `arrived` are collapse ids by delivery.

    The ledger counts as a resend what followed an attempt whose outcome it could not know.
    """
    delivered = {entry.event for id_, entry in ledger.items() if id_ in arrived}
    extra = {id_: len(seen) - 1 for id_, seen in arrived.items()}
    unknown = {id_: min(extra[id_], ledger[id_].resends) for id_ in extra if id_ in ledger}
    return {
        "accepted": float(len(accepted)),
        "lost": float(len(accepted - delivered)),
        "duplicated_known_outcome": float(sum(extra.values()) - sum(unknown.values())),
        "duplicated_unknown_outcome": float(sum(unknown.values())),
        "collapse_ids_changed": float(sum(len(set(seen)) > 1 for seen in arrived.values())),
    }


@asynccontextmanager
async def _stage() -> AsyncIterator[tuple[dict[str, str], Proxy, Path, Path, str]]:
    """Run all that outlives the server: its PostgreSQL, the proxy before it, the simulator."""
    async with proxied_postgres() as (folder, proxy, dsn), simulated("fcm") as simulator:
        settings = variables(simulator) | UNBOUND | {"NOVA_DATABASE": proxy.dsn}
        yield settings, proxy, folder, simulator, dsn


async def _prepared(server: Server) -> None:
    """Have two people, of whom one has a phone."""
    caller = await Caller.open(server.host, server.port, server.server_key)
    await create_users(caller, ["ada", "ben"])
    device = {"platform": LANE, "token": "a-phone"}
    status, said = await caller.ask("PUT", "/v1/users/ben/devices", msgspec.json.encode(device))
    if status not in {200, 201}:
        raise RuntimeError(f"registering a device answered {status}: {said[:500]!r}")
    caller.close()


async def _struck(
    server: Server, proxy: Proxy, of: Sequence[str], events: Sequence[str], *, kept: bool
) -> set[str]:
    """Send events, and kill the server at a commit that follows; return what it accepted."""

    async def strike() -> None:
        os.kill(server.pid, signal.SIGKILL)

    proxy.at = point = CommitPoint(of, strike, kept=kept)
    caller = await Caller.open(server.host, server.port, server.server_key)
    told = asyncio.create_task(caller.post("/v1/events", _events(events)))
    await point.reached(REACHED_S)
    try:
        status, said = await told
    except (ConnectionError, OSError):
        return set()  # not told that it was accepted, so it may or may not be
    if status == BUSY:  # the struck server said that before it was gone
        return set()
    if status not in {200, 202} or said.count(b'"status":"accepted"') != len(events):
        raise RuntimeError(f"POST /v1/events answered {status}: {said[:500]!r}")
    return set(events)


def _events(ids: Sequence[str]) -> bytes:
    return msgspec.json.encode(
        [
            {"id": each, "event_type": "message", "recipient_id": "ben", "actor_id": "ada"}
            for each in ids
        ]
    )


async def _settled(pool: Pool, accepted: set[str]) -> None:
    """Return when nothing is left to do; also when that takes too long: then it is lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_S):
            while await pool.value(LEFT, list(accepted)):  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.5)


async def _arrived(simulator: Path) -> Mapping[UUID, Sequence[str]]:
    """Return the collapse ids that the simulator saw, by delivery."""
    book = await received(simulator)
    if book["count"] != len(book["items"]):
        raise RuntimeError("the simulator's book is full")
    found: dict[UUID, list[str]] = defaultdict(list)
    for item in book["items"]:
        message = item["message"]
        tag = message["android"]["notification"]["tag"]
        found[UUID(message["data"]["delivery"])].append(tag)
    return found
