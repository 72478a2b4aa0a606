"""A group tells of the events that are in it, wherever the server is killed."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from nova.ports.database import Pool
from support.app import App, like
from support.deployment import Deployment, deployed
from support.waiting import until

JOINING, LEAVING = "insert into notifications.gathered", "delete from notifications.gathered"


async def take_back(deployment: Deployment, event: dict[str, Any]) -> None:
    """Retract an event as a client does that asks again until it is answered."""
    while True:
        app = await deployment.app()
        try:
            async with app.client() as client:
                answer = await client.delete(f"/v1/events/{event['id']}")
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        if answer.status_code == httpx.codes.NO_CONTENT:
            return
        assert answer.json()["code"] in {"event_undecided", "no_such_event"}, answer.text
        await asyncio.sleep(0.05)


async def others(app: App, user: str) -> int:
    """Return how many more than one the only notification tells of; -1 for no notification."""
    found = await app.inbox(user)
    assert len(found) <= 1
    return found[0].get("others", 0) if found else -1


@pytest.mark.parametrize("commit", [JOINING, LEAVING])
async def test_a_group_is_whole_wherever_the_server_is_killed(
    tmp_path: Path, dsn: str, pool: Pool, commit: str
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        app = await deployment.start()
        ben, *likers = await app.people(7)
        events = [like(to=ben, by=each, group_key="post-1") for each in likers]

        async def tells_of(count: int) -> None:
            async def so_many() -> bool:
                return await others(await deployment.app(), ben) == count - 1

            await until(so_many)

        for event in events[:4]:
            await deployment.send(event)
        await tells_of(4)
        for number, kept in enumerate((False, True)):
            proxy.at = point = CommitPoint(commit, deployment.strike, kept=kept)
            if commit == JOINING:
                doing = asyncio.create_task(deployment.send(events[4 + number]))
            else:  # the first of the group that is left
                doing = asyncio.create_task(take_back(deployment, events[number]))
            await point.reached()
            await deployment.gone()
            await deployment.start()
            await doing
            await tells_of(5 + number if commit == JOINING else 3 - number)
        for event in events:
            if commit == JOINING or event in events[:4]:
                await take_back(deployment, event)
        await tells_of(0)
        assert await (await deployment.app()).counts(ben) == {"unseen": 0, "unread": 0}
        assert await pool.value("select count(*) from notifications.gathered") == 0
