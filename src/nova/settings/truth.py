"""Knobs of the database and the event log."""

from typing import Annotated

from msgspec import Meta, Struct

from nova.settings.kinds import Natural, Seconds, about


class Postgres(Struct, frozen=True, kw_only=True):
    """Connections to PostgreSQL."""

    connections: Annotated[Natural, about("Connections of this process.")] = 12
    wait_s: Annotated[
        Seconds, about("Seconds to wait for a free connection before answering 503.")
    ] = 0.2
    statement_timeout_s: Annotated[
        Seconds, about("Seconds after which a statement is cancelled.")
    ] = 10.0
    lock_timeout_s: Annotated[
        Annotated[float, Meta(gt=0.1, le=3_600)],  # more than changes of the schema wait
        about("Seconds that a statement waits for others' locks before answering 503."),
    ] = 0.2


class Log(Struct, frozen=True, kw_only=True):
    """The event log and its consumers."""

    batch: Annotated[
        Natural,
        about("Events in one transaction; while more wait, the number doubles up to `log.most`."),
    ] = 100
    most: Annotated[Natural, about("Events in one transaction, at most.")] = 4000
    readers: Annotated[
        Annotated[int, Meta(ge=1, le=16)],
        about(
            "Readers of a consumer in one process: "
            "one computes while another waits for the database."
        ),
    ] = 2
    wait_s: Annotated[
        Seconds, about("Longest time between two reads of the log when no event wakes its readers.")
    ] = 1.0
    attempts: Annotated[
        Natural, about("Attempts to handle an event before it becomes a dead letter.")
    ] = 5
    retention_days: Annotated[Natural, about("Days that events stay in the log.")] = 7
