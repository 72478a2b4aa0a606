"""What was accepted comes to one end, once, wherever the server is killed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from nova.ports.database import Pool
from support.app import like
from support.books import balance
from support.deployment import deployed
from support.follower import following

ACCEPTING = "insert into backbone.intake"
DELIVERING = "insert into notifications.inbox"
SETTING_ASIDE = "insert into backbone.retries"
BURYING = "insert into backbone.dead_letters"
UNDELIVERABLE = """
alter table notifications.inbox add constraint deliverable check (event_id not like 'bad-%')
"""


@pytest.mark.parametrize("commit", [ACCEPTING, DELIVERING, SETTING_ASIDE, BURYING])
async def test_a_server_killed_before_and_after_a_commit_loses_and_repeats_nothing(
    tmp_path: Path, dsn: str, pool: Pool, commit: str
) -> None:
    await pool.run(UNDELIVERABLE)
    (tmp_path / "proxy").mkdir()
    good: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn, NOVA_LOG_ATTEMPTS="2") as deployment,
    ):
        app = await deployment.start()
        ada, ben = await app.people(2)
        async with following(deployment.app, ben) as phone:
            for turn, kept in enumerate((False, True)):
                proxy.at = point = CommitPoint(commit, deployment.strike, kept=kept)
                good += (new := [like(to=ben, by=ada) for _ in range(4)])
                own.append(like(to=ben, by=ben))
                bad.append(like(to=ben, by=ada, id=f"bad-{turn}"))
                sending = [
                    asyncio.create_task(deployment.send(event))
                    for event in (*new, own[-1], bad[-1])
                ]
                await point.reached()
                await deployment.gone()
                await deployment.start()
                await asyncio.gather(*sending)
                await phone.rung(*new)
            await balance(pool, delivered=good, suppressed=own, dead=bad)
            assert sorted(phone.rings) == sorted(event["id"] for event in good)
            assert phone.connections == 3
