"""What an event costs: reading it, and the whole pipeline per event. Run by hand: see --help."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec

from nova.adapters.postgres.pool import open_pool
from nova.features.notifications.catalogue import built_in, prepare
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.ingest import check, read
from nova.features.notifications.models import Choices, Event
from nova.kernel.clock import SystemClock
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from support.notified import World, event
from support.postgres import migrated_template, new_database, running_server

BATCH = 1_000


def reading(rounds: int) -> dict[str, float]:
    types = {name: prepare(name, kind) for name, kind in built_in().items()}
    body = json.dumps([_raw(n) for n in range(100)]).encode()
    events = [each for each in read(body)[0] if isinstance(each, Event)]
    started = process_time()
    for _ in range(rounds):
        read(body)
    parsed = process_time()
    for _ in range(rounds):
        for each in events:
            check(each, types)
    checked = process_time()
    per = 1e6 / rounds / 100
    return {"parse_us": (parsed - started) * per, "check_us": (checked - parsed) * per}


def _raw(n: int) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "event_type": "like",
        "recipient_id": f"user-{n}",
        "actor_id": "user-777",
        "related_entity_id": f"post-{n}",
        "timestamp": "2026-11-24T02:00:00.123Z",
        "metadata": {"title": "My post", "n": n},
    }


async def pipeline(rounds: int, people: int) -> dict[str, float]:
    """Measure ingestion, the listener, and its share that PostgreSQL has, per event."""
    found: dict[str, float] = {}
    with TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        template = await migrated_template(server, Path(folder))
        async with (
            new_database(server, template) as dsn,
            open_pool(dsn, size=4, wait_s=5) as pool,
        ):
            world = World(pool, SystemClock())
            await world.meet(*(f"user-{n}" for n in range(people)))
            found |= await _measured(world, rounds, people)
            await world.all.close()
    return found


async def _measured(world: World, rounds: int, people: int) -> dict[str, float]:
    hear = world.all.pipeline.hear
    batches = []
    ingest = 0.0
    for turn in range(rounds + 1):
        events = [
            event(
                f"{turn}-{n}",
                recipient_id=f"user-{(turn * BATCH + n) % people}",
                actor_id=f"user-{(n + 7) % people}",
                related_entity_id=f"post-{n}",
                metadata={"title": "My post", "n": n},
            )
            for n in range(BATCH)
        ]
        started = process_time()
        await world.send(*events)
        ingest += (process_time() - started) if turn else 0
        batches.append(await _logged(world, turn))
    cpu = wall = 0.0
    for turn, heard in enumerate(batches):
        started, at = process_time(), perf_counter()
        async with world.db.transaction() as tx:
            await hear(tx, heard)
            if turn:
                cpu += process_time() - started
                wall += perf_counter() - at
                started = process_time()
    per = 1e6 / rounds / BATCH
    users = [world.ids[f"user-{n}"] for n in range(people)]
    await world.all.preferences.put(users[0], Choices())
    lookups = await _lookups(world, users[1:100])
    return {
        "ingest_us": ingest * per,
        "listener_us": cpu * per,
        "listener_wall_us": wall * per,
        **lookups,
    }


async def _lookups(world: World, users: list[Any]) -> dict[str, float]:
    started = perf_counter()
    for user in users * 100:
        await world.all.preferences.of([user])
    warm = (perf_counter() - started) * 1e6 / len(users) / 100
    cold = []
    for user in users:
        world.all.preferences.forget(str(user))
        started = perf_counter()
        await world.all.preferences.of([user])
        cold.append((perf_counter() - started) * 1e3)
    cold.sort()
    return {"preference_warm_us": warm, "preference_cold_p95_ms": cold[int(len(cold) * 0.95)]}


async def _logged(world: World, turn: int) -> list[Heard[EventAccepted]]:
    rows = await world.pool.fetch(
        "select id, payload, at from backbone.event_log where payload like $1 order by position",
        f'%"id":"{turn}-%'.encode(),
    )
    decode = msgspec.json.Decoder(EventAccepted).decode
    return [Heard(decode(row["payload"]), row["id"], row["at"], None, 1) for row in rows]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--people", type=int, default=1_000)
    asked = options.parse_args()
    found = reading(asked.rounds * 20) | asyncio.run(pipeline(asked.rounds, asked.people))
    for name, value in found.items():
        print(f"{name:24} {value:8.2f}")  # noqa: T201  # a command's output


if __name__ == "__main__":
    main()
