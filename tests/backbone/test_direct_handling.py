"""Facts that are handled in the transaction that appends them: once, and in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from nova.backbone.backbone import Backbone
from nova.backbone.database import Database, Tx
from nova.backbone.direct_handling import PAUSE_S
from nova.backbone.groups import Pace
from nova.backbone.intake import Offer
from nova.backbone.listening import Listener
from nova.backbone.outbox import PARTITIONS, PostgresOutbox, partition_of
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from nova.ports.database import DatabaseUnavailable, Locked, Pool
from support.facts import Waved
from support.log import backbone, note, notebook, noted
from support.waiting import until


@asynccontextmanager
async def direct(
    pool: Pool, hear: Listener = note, suits: Callable[[Any], bool] = lambda _fact: True
) -> AsyncIterator[Backbone]:
    """Run a backbone whose group handles facts directly, once it has read all there is."""
    made = backbone(pool)
    made.group("readers", {Waved: hear}, {Waved: suits})
    async with made.run():
        await until(lambda: _is(made.db.direct[Waved].allows([])))
        yield made


async def _is(what: bool) -> bool:
    return what


def offers(*names: str) -> list[Offer]:
    return [Offer(name, name.encode(), new_id(), Waved(who=name)) for name in names]


async def take_in(nova: Backbone, *names: str) -> set[str]:
    return await nova.db.take_in(offers(*names), datetime.now(UTC))


async def through_the_log(db: Database) -> list[str]:
    rows = await db.fetch(
        "select key from backbone.event_log where heard_by is null order by xact, position"
    )
    return [row["key"] for row in rows]


async def heard_by_all(db: Database, *names: str) -> None:
    """Wait until all were heard; then look whether each was once, in this order."""

    async def all_heard() -> bool:
        return len(await noted(db)) >= len(names)

    await until(all_heard)
    assert [who for who, _ in await noted(db)] == list(names)


async def test_a_fact_is_handled_when_it_is_accepted_and_never_again(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with direct(pool) as nova:
        assert await take_in(nova, "ada", "ben") == {"ada", "ben"}
        assert sorted(who for who, _ in await noted(db)) == ["ada", "ben"]
        assert await through_the_log(db) == []
        assert nova.statistics()[0].events == 2
        async with nova.db.transaction() as tx:
            await tx.emit(Waved(who="cem"))
        await heard_by_all(db, "ada", "ben", "cem")
    made = backbone(pool)
    made.group("readers", {Waved: note})
    async with made.run(), made.db.transaction() as tx:
        await tx.emit(Waved(who="dot"))
    async with direct(pool):
        await heard_by_all(db, "ada", "ben", "cem", "dot")


async def test_an_id_that_is_known_is_not_handled_again(pool: Pool, db: Database) -> None:
    await notebook(db)
    async with direct(pool) as nova:
        assert await take_in(nova, "ada") == {"ada"}
        assert await take_in(nova, "ada", "ben") == {"ben"}
        await heard_by_all(db, "ada", "ben")
        assert await through_the_log(db) == ["ben"]


async def test_eight_senders_of_the_same_ids_have_each_handled_once(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    names = [str(n) for n in range(20)]
    async with direct(pool) as nova:
        sent = (take_in(nova, *(names if turn % 2 else names[::-1])) for turn in range(8))
        new = await asyncio.gather(*sent)
        assert sorted(id_ for some in new for id_ in some) == sorted(names)

        async def all_heard() -> bool:
            return len(await noted(db)) >= len(names)

        await until(all_heard)
    assert sorted(who for who, _ in await noted(db)) == sorted(names)


async def test_what_waits_in_the_log_is_handled_first(pool: Pool, db: Database) -> None:
    await notebook(db)
    async with direct(pool) as nova:
        async with pool.begin() as older:
            await older.run("select pg_current_xact_id()")  # holds the readers back
            async with nova.db.transaction() as tx:
                await tx.emit(Waved(who="first"))
            await take_in(nova, "second")
            assert await noted(db) == []
        await heard_by_all(db, "first", "second")


async def test_beside_another_process_facts_go_through_the_log(pool: Pool, db: Database) -> None:
    await notebook(db)
    async with direct(pool) as nova:
        # It has just begun: this process has not yet seen it.
        await db.run(
            "insert into backbone.processes (id, host, pid, born, consumers, expires)"
            " values (1, 'elsewhere', 1, 1, '{}', now() + interval '1 hour')"
        )
        assert await take_in(nova, "ada") == {"ada"}
        assert await through_the_log(db) == ["ada"]
        await heard_by_all(db, "ada")


async def test_a_fact_that_does_not_suit_takes_its_batch_through_the_log(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with direct(pool, suits=lambda fact: fact.who != "ben") as nova:
        await take_in(nova, "ada", "ben")
        assert await through_the_log(db) == ["ada", "ben"]
        await heard_by_all(db, "ada", "ben")


@pytest.mark.parametrize("fault", [ValueError("a bug"), Locked("somebody has it")])
async def test_what_fails_is_accepted_all_the_same_and_tried_again(
    pool: Pool, db: Database, fault: Exception
) -> None:
    await notebook(db)
    faults = [fault, ValueError("another bug")]

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        await note(tx, heard)
        if faults:
            raise faults.pop(0)

    async with direct(pool, hear) as nova:
        assert await take_in(nova, "ada") == {"ada"}
        await heard_by_all(db, "ada")
        assert await through_the_log(db) == ["ada"]
    assert not faults


async def test_a_listener_that_writes_nothing_has_its_facts_appended(
    pool: Pool, db: Database
) -> None:
    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        pass

    async with direct(pool, hear) as nova:
        assert await take_in(nova, "ada") == {"ada"}
        rows = await db.fetch("select key, heard_by from backbone.event_log")
        assert [tuple(row.values()) for row in rows] == [("ada", "readers")]


async def test_what_a_dead_process_left_waiting_is_handled_first(pool: Pool, db: Database) -> None:
    await notebook(db)
    made = backbone(pool)
    made.group("readers", {Waved: note}, {Waved: lambda _fact: True})
    await db.run(
        "insert into backbone.processes (id, host, pid, born, consumers, expires)"
        " values (1, 'elsewhere', 1, 1, '{readers}', now() + interval '40 s')"
    )
    # Half of the partitions are the other's, and nobody reads them.
    names = {partition_of(str(n)): str(n) for n in range(1000)}
    assert len(names) == PARTITIONS
    async with made.run():
        await take_in(made, *names.values())

        async def half_heard() -> bool:
            return len(await noted(db)) == PARTITIONS // 2

        await until(half_heard)
        await asyncio.sleep(PAUSE_S)
        heard = {who for who, _ in await noted(db)}
        left = next(name for name in names.values() if name not in heard)
        await db.run("delete from backbone.processes where id = 1")
        later = Offer("later", b"later", new_id(), Waved(who=left, n=1))
        await made.db.take_in([later], datetime.now(UTC))

        async def all_heard() -> bool:
            return len(await noted(db)) > PARTITIONS

        await until(all_heard)
    assert [n for who, n in await noted(db) if who == left] == [0, 1]


async def test_who_was_taken_for_dead_handles_nothing_directly(pool: Pool, db: Database) -> None:
    await notebook(db)
    async with direct(pool) as nova:
        # It stood still for longer than its lease: others may have come and gone meanwhile.
        await db.run("update backbone.processes set expires = now()")
        assert await take_in(nova, "ada") == {"ada"}
        assert await through_the_log(db) == ["ada"]
        await heard_by_all(db, "ada")


async def test_readers_are_woken_for_what_was_appended_without_an_answer(
    pool: Pool, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notebook(db)
    made = backbone(pool, pace=Pace(wait_s=3600))
    made.group("readers", {Waved: note}, {Waved: lambda fact: fact.who != "ada"})
    take_in_and_answer = PostgresOutbox.take_in

    async def unanswered(*args: Any) -> set[str]:
        await take_in_and_answer(*args)
        raise DatabaseUnavailable

    async with made.run():
        await until(lambda: _is(made.db.direct[Waved].allows([])))
        with monkeypatch.context() as patched:
            patched.setattr(PostgresOutbox, "take_in", unanswered)
            with pytest.raises(DatabaseUnavailable):
                await take_in(made, "ada")
        await take_in(made, "ben")
        await heard_by_all(db, "ada", "ben")


async def test_an_erasure_waits_for_what_is_handled_directly(pool: Pool, db: Database) -> None:
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        begun.set()  # people are looked up here, before the first statement
        await go_on.wait()

    async with direct(pool, hear) as nova, asyncio.TaskGroup() as tasks:
        sent = tasks.create_task(take_in(nova, "ada"))
        await begun.wait()
        moment = tasks.create_task(nova.barrier().now())
        await asyncio.sleep(0.05)
        assert not moment.done()
        go_on.set()
        await moment
        assert await sent == {"ada"}
