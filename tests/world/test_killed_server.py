"""What was accepted comes to one end, once, wherever the server is killed."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from nova.ports.database import Pool
from support.app import App, like
from support.books import balance
from support.deployment import deployed
from support.follower import following

ACCEPTING = "insert into backbone.intake"
DELIVERING = "insert into notifications.inbox"
SETTING_ASIDE = "insert into backbone.retries"
BURYING = "insert into backbone.dead_letters"
AUTHOR = "ada"
POSTING = "insert into posts.posts"
LAPSED = "update web.idempotency set claimed_until = now()"
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


async def author(app: App) -> None:
    async with app.client() as client:
        answer = await client.post("/v1/users", json={"external_id": AUTHOR, "name": "Ada"})
    answer.raise_for_status()


async def post(app: App, key: str) -> httpx.Response:
    """Publish a post under a key, as the host app's backend does for somebody."""
    async with app.client(patient=False) as client:
        return await client.post(
            "/v1/posts",
            params={"user": AUTHOR},
            json={"text": "Once."},
            headers={"Idempotency-Key": key},
        )


async def test_a_post_that_is_sent_again_after_a_kill_is_there_once(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        await author(await deployment.start())
        for number, kept in enumerate((False, True), 1):
            key = f"key-{number}"
            proxy.at = point = CommitPoint(POSTING, deployment.strike, kept=kept)
            first = asyncio.create_task(post(await deployment.app(), key))
            await point.reached()
            with pytest.raises(httpx.TransportError):
                await first
            await deployment.gone()
            app = await deployment.start()
            await pool.run(LAPSED)  # or wait for the killed process's claim to end
            answers = [await post(app, key) for _ in range(2)]
            assert [each.status_code for each in answers] == [201, 201]
            assert answers[0].json() == answers[1].json()
            assert await pool.value("select count(*) from posts.posts") == number


async def test_a_post_whose_commit_was_not_answered_is_there_once(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        app = await deployment.start()
        await author(app)
        proxy.at = CommitPoint(POSTING, kept=True)
        first = await post(app, "key")
        assert (first.status_code, "retry-after" in first.headers) == (503, True)
        again = await post(app, "key")
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert await pool.value("select count(*) from posts.posts") == 1
