"""PostgreSQL goes away, or its word does: nothing is lost, and nothing happens twice."""

import asyncio
import os
import signal
from pathlib import Path

from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from nova.ports.database import Pool
from support.app import like
from support.books import balance, totals
from support.deployment import Deployment, deployed
from support.follower import following

ACCEPTING = "insert into backbone.intake"
DELIVERING = "insert into notifications.inbox"


async def test_an_event_whose_commit_was_not_answered_is_refused_and_its_retry_changes_nothing(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        app = await deployment.start()
        ada, ben = await app.people(2)
        event = like(to=ben, by=ada)
        async with following(deployment.app, ben) as phone, app.client(patient=False) as client:
            proxy.at = lost = CommitPoint(ACCEPTING, kept=True)
            answer = await client.post("/v1/events", json=event)
            await lost.reached()
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
            await phone.rung(event)
            before = await totals(pool)
            [result] = await app.send(event)
            assert result["status"] == "duplicate"
            assert await totals(pool) == before
            await balance(pool, delivered=[event])
            # Under another id it is another event: what a host app without ids would do to Ben.
            again = event | {"id": "another"}
            [result] = await app.send(again)
            assert result["status"] == "accepted"
            await phone.rung(again)
            assert phone.rings == [event["id"], "another"]


async def test_a_delivery_whose_commit_was_not_answered_reaches_open_sockets_once(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        app = await deployment.start()
        ada, ben = await app.people(2)
        async with following(deployment.app, ben) as phone:
            proxy.at = lost = CommitPoint(DELIVERING, kept=True)
            event = like(to=ben, by=ada)
            await deployment.send(event)
            await lost.reached()
            # Nothing else comes along that would show the socket its gap.
            await phone.rung(event)
            last = like(to=ben, by=ada)
            await deployment.send(last)
            await phone.rung(last)
            assert phone.rings == [event["id"], last["id"]]
        await balance(pool, delivered=[event, last])


async def test_a_killed_database_is_told_as_busy_and_every_event_arrives_once(
    tmp_path: Path,
) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        events = [like(to=ben, by=ada) for _ in range(60)]
        left = iter(events)

        async def client() -> None:
            for event in left:
                await deployment.send(event)

        async with following(deployment.app, ben) as phone:
            clients = asyncio.gather(*(client() for _ in range(6)))
            await phone.rung(events[0])
            killed = kill_database(deployment)
            late = [like(to=ben, by=ada)]
            await deployment.send(late[-1])
            while not deployment.refusals:  # it came back before anybody missed it
                killed = kill_database(deployment, but=killed)
                late.append(like(to=ben, by=ada))
                await deployment.send(late[-1])
            await clients
            await phone.rung(*events, *late)
            assert sorted(phone.rings) == sorted(event["id"] for event in [*events, *late])
        assert await app.counts(ben) == {"unseen": len(events + late), "unread": len(events + late)}
        assert (await deployment.app()).server.pid == app.server.pid
    assert b"postgres_restarted" in deployment.output
    assert b"Traceback" not in deployment.output


def kill_database(deployment: Deployment, but: int = 0) -> int:
    """Kill PostgreSQL, unless it is the one killed before; return its process id."""
    [file] = deployment.data.rglob("postmaster.pid")
    pid = int(file.read_text("ascii").split()[0])
    if pid != but:
        os.kill(pid, signal.SIGKILL)
    return pid
