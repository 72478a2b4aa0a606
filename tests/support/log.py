"""A backbone on a test's database, and a listener that writes down what it hears."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from nova.adapters.postgres.backbone import postgres_backbone
from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.backbone.backbone import Backbone
from nova.backbone.database import Tx
from nova.backbone.groups import Pace
from nova.backbone.listening import Listener
from nova.kernel.clock import SystemClock
from nova.kernel.events import Fact, Heard
from nova.ports.database import Pool, Queries
from support.facts import Waved

QUICK = Pace(wait_s=0.05, retry_s=0.001)


def backbone(pool: Pool, *, pace: Pace = QUICK, **knobs: Any) -> Backbone:
    return postgres_backbone(
        pool,
        clock=SystemClock(),
        registry=CollectorRegistry(),
        broadcast=PostgresBroadcast(pool),
        pace=pace,
        **knobs,
    )


@asynccontextmanager
async def running(
    pool: Pool, hears: Mapping[type[Fact], Listener], *, name: str = "readers", **knobs: Any
) -> AsyncIterator[Backbone]:
    """Run a backbone with one group."""
    made = backbone(pool, **knobs)
    made.group(name, hears)
    async with made.run():
        yield made


async def note(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
    """Write down what was heard, in the transaction that moves the cursor."""
    await tx.run(
        "insert into heard (who, n) select * from unnest($1::text[], $2::int[])",
        [each.fact.who for each in heard],
        [each.fact.n for each in heard],
    )


async def notebook(queries: Queries) -> None:
    await queries.run(
        "create table heard (nth bigint generated always as identity, who text, n int)"
    )


async def noted(queries: Queries) -> list[tuple[str, int]]:
    rows = await queries.fetch("select who, n from heard order by nth")
    return [(row["who"], row["n"]) for row in rows]
