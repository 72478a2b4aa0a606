"""The figures that no client can see: single steps of the pipeline, in this process."""

from collections.abc import Callable
from statistics import median
from time import process_time

import msgspec

from nova.features.notifications import ingest

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


async def preference_lookup_us() -> dict[str, float]:
    return {}
