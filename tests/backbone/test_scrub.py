"""What names erased people goes from the log, and nothing else does."""

from uuid import UUID, uuid4

from nova.adapters.postgres.pool import PostgresPool
from nova.backbone import erasure
from nova.backbone.database import Database
from nova.backbone.erasure import Barrier
from nova.kernel.erased_people import Erased
from support.log import backbone
from support.waiting import until

ANN = UUID("0190c0de-aaaa-7bbb-8ccc-0190c0deaaaa")

WRITE = """
insert into backbone.event_log (id, partition, topic, key, type, payload)
values ($1, 0, 'notifications', $2, 'EventAccepted', convert_to($3, 'UTF8'))
"""
TAKEN_IN = "insert into backbone.intake (id, digest, record, at) values ($1, '', $2, now())"
CURSOR = """
insert into backbone.cursors (consumer, topic, partition) values ('readers', 'notifications', 0)
"""
READ = """
update backbone.cursors set position = (select xact || '/' || position from backbone.event_log)
"""


async def _settled() -> None:
    """Nothing is handled directly here."""


async def written(pool: PostgresPool, event: str, says: str, key: str = "bob") -> UUID:
    await pool.run(WRITE, id_ := uuid4(), key, f'{{"id":"{event}","said":"{says}"}}')
    await pool.run(TAKEN_IN, event, id_)
    return id_


async def left(pool: PostgresPool) -> set[str]:
    rows = await pool.fetch("select id from backbone.intake")
    return {row["id"] for row in rows}


async def test_records_that_name_somebody_go_with_the_ids_of_their_events(
    pool: PostgresPool, db: Database
) -> None:
    gone = {await written(pool, "told", str(ANN)), await written(pool, "for-her", "hi", "ann")}
    kept = await written(pool, "others", "hello")
    before = await Barrier(backbone(pool).log, {}, _settled).now()
    late = await written(pool, "late", str(ANN))
    async with db.transaction() as tx:
        found = await backbone(pool).log.erase(
            tx.queries, [str(ANN)], ["ann"], before=before, place=0
        )
    assert (set(found.records), found.following) == (gone, None)
    assert await left(pool) == {"others", "late"}
    rows = await pool.fetch("select id from backbone.event_log")
    assert {row["id"] for row in rows} == {kept, late}


async def test_the_barrier_is_passed_once_every_consumer_has_heard(pool: PostgresPool) -> None:
    await pool.run(CURSOR)
    barrier = Barrier(
        backbone(pool).log, {"readers": ["EventAccepted"], "others": ["Liked"]}, _settled
    )
    start = await barrier.now()
    await until(lambda: barrier.passed(start))  # other tests' transactions hold it back
    await written(pool, "one", "hello")
    moment = await barrier.now()
    assert not await barrier.passed(moment)
    await pool.run(READ)
    await until(lambda: barrier.passed(moment))


async def test_ids_of_events_go_that_name_somebody_and_not_those_that_name_others(
    pool: PostgresPool,
) -> None:
    erased = Erased([ANN], ["user-181", "a.b*c(d)"])
    named = {
        "like-user-181",
        "user-181",
        "user-181_2026",
        "x_user-181:1",
        "\u00fcber user-181",
        f"like:{ANN}",
        f"x{ANN.hex}x",
        "see a.b*c(d)!",
    }
    others = {
        "like-user-1815",
        "user-1810:1",
        "muser-181",
        "auser-181",
        "user-18",
        "like-user-182",
        "aXb*c(d)",
        "a.b*c(d)e",
    }
    for id_ in named | others:
        await written(pool, id_, "hi")
    assert await erasure.intake(pool, erased.telling, erased.patterns, 0) is None
    assert await left(pool) == others
