"""Transactions of one task that commit as one."""

import asyncio

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.kernel.errors import Conflict
from nova.kernel.events import Fact
from nova.ports.channels import Publication
from nova.ports.database import Pool
from support.facts import Waved

COUNT = "select count(*) from backbone.event_log"


class Heard:
    """What a database told this process."""

    def __init__(self, pool: Pool) -> None:
        self.facts: list[Fact] = []
        self.publications: list[Publication] = []
        self.called: list[str] = []
        self.db = Database(
            pool,
            PostgresOutbox(),
            wrote=self.facts.extend,
            published=self.publications.extend,
        )

    async def wave(self, who: str) -> None:
        async with self.db.transaction() as tx:
            await tx.emit(Waved(who=who))
            tx.publish("room:1", b"{}")
            tx.after_commit(lambda: self.called.append(who))


@pytest.fixture
def heard(pool: Pool) -> Heard:
    return Heard(pool)


async def test_nothing_is_told_before_all_is_durable(heard: Heard, pool: Pool) -> None:
    async with heard.db.together():
        await heard.wave("ada")
        await heard.wave("ben")
        assert await heard.db.value(COUNT) == 2
        assert await pool.value(COUNT) == 0
        assert (heard.facts, heard.publications, heard.called) == ([], [], [])
    assert await pool.value(COUNT) == 2
    assert [fact.key for fact in heard.facts] == heard.called == ["ada", "ben"]
    assert [each.offset for each in heard.publications] == [1, 2]


async def test_nothing_stays_of_what_ends_in_a_refusal(heard: Heard, pool: Pool) -> None:
    async def wave_and_refuse() -> None:
        async with heard.db.together():
            await heard.wave("ada")
            raise Conflict

    with pytest.raises(Conflict):
        await wave_and_refuse()
    assert await pool.value(COUNT) == 0
    assert (heard.facts, heard.publications, heard.called) == ([], [], [])


async def test_a_transaction_that_fails_is_undone_alone(heard: Heard, pool: Pool) -> None:
    async def fail(sql: str) -> None:
        async with heard.db.transaction() as tx:
            await heard.wave("ben")
            await tx.run(sql)
            raise Conflict

    async with heard.db.together():
        await heard.wave("ada")
        with pytest.raises(Conflict):
            await fail("delete from backbone.event_log")
        with pytest.raises(Exception, match="division by zero"):
            await fail("select 1/0")
        await heard.wave("cem")
    assert heard.called == ["ada", "cem"]
    assert await pool.value(COUNT) == 2


async def test_what_other_tasks_do_is_not_part_of_it(heard: Heard, pool: Pool) -> None:
    async def wave_both() -> None:
        async with heard.db.together():
            await asyncio.create_task(heard.wave("eve"))
            await heard.wave("ada")
            raise Conflict

    with pytest.raises(Conflict):
        await wave_both()
    assert heard.called == ["eve"]
    assert await pool.value(COUNT) == 1


async def test_who_writes_nothing_yet_holds_no_connection(dsn: str) -> None:
    async with open_pool(dsn, size=1) as pool:
        db = Heard(pool).db
        async with db.together():
            assert await db.value("select 1") == 1
            assert await asyncio.create_task(db.value("select 2")) == 2
