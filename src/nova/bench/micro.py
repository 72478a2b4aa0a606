"""The figures that no client can see: single steps of the pipeline, in this process."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import msgspec

from nova.app import visited
from nova.bench.receipts import percentile
from nova.features.notifications import ingest
from nova.kernel.ids import new_id
from nova.settings import Settings, Tokens

EVENTS = 100
ROUNDS = 200


def event_parse_us() -> dict[str, float]:
    """Parse and validate a batch of events, as `POST /v1/events` does."""
    body = msgspec.json.encode(
        [
            {
                "id": f"event-{number}",
                "event_type": "like",
                "recipient_id": "user-1",
                "actor_id": "user-2",
                "related_entity_id": "post-1",
                "timestamp": "2026-01-01T00:00:00Z",
                "metadata": {"source": "bench"},
            }
            for number in range(EVENTS)
        ]
    )
    return {"event_parse_us": cpu_us(lambda: ingest.read(body)) / EVENTS}


def cpu_us(call: Callable[[], object]) -> float:
    """Return the median CPU time of a call, in microseconds."""
    took = []
    for _ in range(ROUNDS):
        start = process_time()
        call()
        took.append(process_time() - start)
    return 1e6 * median(took)


async def preference_lookup() -> dict[str, float]:
    """Look up what people chose: remembered, and read from the database."""
    with TemporaryDirectory(prefix="nova-bench-") as folder:
        tokens = Tokens(secret="b" * 32, signing_secret="b" * 32)
        async with visited(
            Settings(data=Path(folder) / "data", tokens=tokens), creates=True
        ) as house:
            preferences = house.notifications.preferences
            users = [new_id() for _ in range(EVENTS)]
            cold = [await _took(preferences.of([user])) for user in users]
            warm = [await _took(preferences.of([user])) for user in users * ROUNDS]
    return {
        "preference_lookup_warm_us": 1e6 * percentile(warm, 0.5),
        "preference_lookup_cold_p95_ms": 1e3 * percentile(cold, 0.95),
    }


async def _took(call: Awaitable[object]) -> float:
    start = perf_counter()
    await call
    return perf_counter() - start
