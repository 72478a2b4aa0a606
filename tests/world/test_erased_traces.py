"""The search for what an erasure left finds it in every kind of column, and in files."""

from pathlib import Path
from uuid import UUID

from nova.adapters.postgres.pool import PostgresPool
from nova.bench.erased_traces import Trace, erased_traces

ANN = UUID("0190c0de-aaaa-7bbb-8ccc-0190c0deaaaa")

PUT = """
insert into backbone.dead_letters (consumer, error, attempts, id, position, at, partition,
    topic, key, type, payload)
values ('posts', 'no such person: canary-error', 1, $1, '1/1', now(), 0, 'posts', 'key', 'Liked',
    '{"name":"canary-payload"}')
"""

EVENT = """
insert into backbone.event_log (id, partition, topic, key, type, payload)
values (gen_random_uuid(), 0, 'posts', 'canary-key', 'Liked', '{}')
"""

SAID = """
insert into accounts.users (id, profile) values (gen_random_uuid(), '{"says": "a \\"canary\\""}')
"""


async def test_a_word_is_found_in_texts_bytes_json_ids_and_partitions(pool: PostgresPool) -> None:
    await pool.run(PUT, ANN)
    await pool.run(EVENT)
    await pool.run(SAID)
    words: list[str | UUID] = [
        ANN,
        "canary-error",
        "canary-payload",
        "canary-key",
        'a "canary"',
        "nowhere",
    ]

    found = {(trace.place, trace.word) for trace in await erased_traces(pool, words)}

    partition = await pool.value("select tableoid::regclass::text from backbone.event_log")
    assert found == {
        ("accounts.users", 'a \\"canary\\"'),
        ("backbone.dead_letters", "canary-error"),
        ("backbone.dead_letters", "canary-payload"),
        ("backbone.dead_letters", str(ANN)),
        (partition, "canary-key"),
    }
    assert partition.startswith("backbone.event_log_")


async def test_a_word_is_found_in_the_samples_of_the_planner(pool: PostgresPool) -> None:
    await pool.run(PUT, ANN)
    await pool.run(PUT, ANN)
    await pool.run("analyze backbone.dead_letters")
    await pool.run("truncate backbone.dead_letters")

    assert await erased_traces(pool, [ANN]) == [
        Trace("pg_stats of backbone.dead_letters", str(ANN), 1)
    ]


async def test_files_are_searched_but_for_what_postgresql_writes(
    pool: PostgresPool, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text(f"user {ANN.hex} left")
    (tmp_path / "empty").touch()
    database = tmp_path / "postgres" / "data"
    database.mkdir(parents=True)
    (database / "PG_VERSION").write_text("18")
    (database / "16384").write_text(str(ANN))

    assert await erased_traces(pool, [ANN], [tmp_path]) == [
        Trace(str(tmp_path / "log"), ANN.hex, 1)
    ]
