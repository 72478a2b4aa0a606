"""A backbone whose event log is in PostgreSQL."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from nova.adapters.postgres.event_log import PostgresEventLog
from nova.backbone.backbone import Backbone
from nova.backbone.groups import Pace
from nova.backbone.outbox import PostgresOutbox
from nova.kernel.clock import Clock
from nova.ports.database import Pool


def postgres_backbone(
    pool: Pool,
    *,
    clock: Clock,
    registry: CollectorRegistry,
    pace: Pace | None = None,
    retention_days: int = 7,
    trace: Callable[[], str | None] = lambda: None,
    **further: Any,
) -> Backbone:
    """Put it together. `trace` returns the present traceparent, `further` is for Backbone."""
    pace = pace or Pace()
    log = PostgresEventLog(pool, keep=timedelta(days=retention_days), wait_s=pace.wait_s)
    outbox = PostgresOutbox(trace=trace)
    return Backbone(
        pool,
        log=log,
        outbox=outbox,
        clock=clock,
        registry=registry,
        pace=pace,
        retention_days=retention_days,
        **further,
    )
