"""What a transaction collected commits with it, or not at all."""

import asyncio
import gc
import weakref
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

import pytest

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.backbone.intake import Offer
from nova.backbone.outbox import _payloads
from nova.kernel.events import Fact
from nova.kernel.ids import new_id


class Waved(Fact, frozen=True, kw_only=True):
    """Somebody waved."""

    topic: ClassVar[str] = "tests"
    who: str

    @property
    def key(self) -> str:
        return self.who


async def test_facts_commit_with_the_transaction_in_their_order(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"), Waved(who="ben"))
        await tx.emit(Waved(who="cem"))
    rows = await db.fetch("select * from backbone.event_log order by position")
    assert [row["key"] for row in rows] == ["ada", "ben", "cem"]
    assert {(row["topic"], row["type"]) for row in rows} == {("tests", "Waved")}
    assert rows[0]["payload"] == b'{"who":"ada"}'


async def test_a_transaction_that_fails_leaves_no_fact_and_no_offset(db: Database) -> None:
    async def fail() -> None:
        async with db.transaction() as tx:
            await tx.emit(Waved(who="ada"))
            tx.publish("room:1", b"{}")
            await tx.run("select 1/0")

    with pytest.raises(Exception, match="division by zero"):
        await fail()
    assert await db.value("select count(*) from backbone.event_log") == 0
    assert await db.value("select count(*) from backbone.channels") == 0


def offer(id_: str, who: str) -> Offer:
    return Offer(id_, who.encode(), new_id(), Waved(who=who))


async def test_an_id_from_outside_is_taken_in_once_in_the_order_given(db: Database) -> None:
    at = datetime.now(UTC)
    first = [offer("b", "ada"), offer("a", "ben")]
    assert await db.take_in(first, at) == {"a", "b"}
    assert await db.take_in([offer("a", "eve"), offer("c", "cem")], at) == {"c"}
    rows = await db.fetch("select id, key from backbone.event_log order by position")
    assert [row["key"] for row in rows] == ["ada", "ben", "cem"]
    assert rows[0]["id"] == first[0].record
    known = await intake.known(db, ["a", "never"])
    assert known == {"a": intake.Known(b"ben", first[1].record)}


async def test_eight_senders_of_the_same_ids_append_each_fact_once(db: Database) -> None:
    at = datetime.now(UTC)

    async def send(turn: int) -> set[str]:
        ids = [str(n) for n in range(50)]
        return await db.take_in([offer(id_, id_) for id_ in (ids if turn % 2 else ids[::-1])], at)

    new = await asyncio.gather(*(send(turn) for turn in range(8)))
    assert sorted(id_ for some in new for id_ in some) == sorted(str(n) for n in range(50))
    assert await db.value("select count(*) from backbone.event_log") == 50


async def test_an_append_without_a_days_partition_still_succeeds(db: Database) -> None:
    for table in await db.fetch(
        "select inhrelid::regclass::text as name from pg_inherits"
        " where inhparent = 'backbone.event_log'::regclass"
        " and inhrelid <> 'backbone.event_log_default'::regclass"
    ):
        await db.run(f"drop table {table['name']}")
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    assert await db.value("select count(*) from backbone.event_log_default") == 1


async def test_eight_publishers_of_shared_channels_get_gapless_offsets(db: Database) -> None:
    async def publish(n: int) -> None:
        for turn in range(20):
            async with db.transaction() as tx:
                for channel in range((n + turn) % 5, 5):
                    tx.publish(f"room:{channel}", b"%d" % n)
                    tx.publish(f"room:{4 - channel}", b"%d" % n)

    await asyncio.gather(*(publish(n) for n in range(8)))
    rows = await db.fetch(
        "select top, count(p.number) as many, min(p.number) as first, max(p.number) as last"
        " from backbone.channels c join backbone.publications p on p.channel_id = c.id"
        " group by c.id"
    )
    assert len(rows) == 5
    for row in rows:
        assert (row["first"], row["last"], row["many"]) == (1, row["top"], row["top"])
    written = sum(2 * (5 - (n + turn) % 5) for n in range(8) for turn in range(20))
    assert sum(row["many"] for row in rows) == written


async def test_one_transaction_publishes_in_its_order_and_hands_over_what_it_stored(
    db: Database,
) -> None:
    handed: list[tuple[str, int, bytes]] = []
    db._published = lambda given: handed.extend((p.channel, p.offset, p.data) for p in given)
    async with db.transaction() as tx:
        for n, channel in enumerate("abab"):
            tx.publish(channel, b"%d" % n)
        assert handed == []
    assert handed == [("a", 1, b"0"), ("b", 1, b"1"), ("a", 2, b"2"), ("b", 2, b"3")]
    rows = await db.fetch(
        "select channel, number, data from backbone.publications p"
        " join backbone.channels c on c.id = p.channel_id order by data"
    )
    assert [(row["channel"], row["number"], row["data"]) for row in rows] == handed


def test_signals_share_payloads_that_postgres_takes() -> None:
    signals = [("user", str(n) * 20) for n in range(1000)]
    payloads = list(_payloads([*signals, *signals]))
    assert all(len(payload) <= 7900 for payload in payloads)
    assert sum(payload.count('"user"') for payload in payloads) == 1000


def test_a_signal_too_long_for_a_notification_is_a_bug() -> None:
    with pytest.raises(ValueError, match="longer"):
        list(_payloads([("user", "x" * 8000)]))


def _tell(tx: Tx) -> None:
    assert tx.facts


async def test_a_transaction_is_gone_as_soon_as_it_has_committed(db: Database) -> None:
    """Not when the collector of cycles comes by, though what it calls afterwards tells of it."""
    gone: list[str] = []
    gc.disable()
    try:
        async with db.transaction() as tx:
            await tx.emit(Waved(who="ada"))
            weakref.finalize(tx, gone.append, "the transaction")
            tx.after_commit(partial(_tell, tx))
        del tx
        assert gone == ["the transaction"]
    finally:
        gc.enable()
