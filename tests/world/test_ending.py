"""A server that is asked to end keeps its word first."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from nova.ports.database import Pool
from support.app import like
from support.books import balance
from support.deployment import deployed
from support.follower import following

ACCEPTING = "insert into backbone.intake"
STORED = "select id from backbone.intake"
SHUTDOWN = 3001  # below 3500: SDKs come back


async def test_requests_in_progress_are_answered_and_kept_and_sockets_are_sent_elsewhere(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn, NOVA_SOCKET_DRAIN_S="0.2") as deployment,
    ):
        app = await deployment.start()
        ada, ben = await app.people(2)
        warm, events = ([like(to=ben, by=ada) for _ in range(many)] for many in (8, 400))
        left = iter(events)
        open_: set[str] = set()
        held: set[str] = set()
        accepted: set[str] = set()
        async with following(deployment.app, ben) as phone, app.client(patient=False) as client:

            async def post(event: dict[str, Any]) -> None:
                open_.add(event["id"])
                answer = await client.post("/v1/events", json=event)
                open_.discard(event["id"])
                assert answer.status_code in (202, 503), answer.text
                if answer.status_code == 202:
                    accepted.add(event["id"])

            async def post_many() -> None:
                with suppress(httpx.TransportError):
                    for event in left:
                        await post(event)

            async def end() -> None:
                """Hold a commit back until the server has closed all that waits for nothing."""
                held.update(open_)
                await deployment.ask_to_end()
                await phone.closed()
                assert await idle.read() == b""

            await asyncio.gather(*(post(event) for event in warm))
            idle, writer = await asyncio.open_connection(app.server.host, app.server.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await idle.readuntil(b'"alive"}')
            proxy.at = CommitPoint(ACCEPTING, end, kept=False, goes_on=True)
            await asyncio.gather(*(post_many() for _ in range(8)))
            assert await deployment.gone() == 0
            writer.close()
            assert held
            assert held <= accepted
            assert phone.codes == [SHUTDOWN]
            stored = {row["id"] for row in await pool.fetch(STORED)}
            assert accepted <= stored  # and perhaps some whose answer did not get through
            await deployment.start()
            kept = [event for event in (*warm, *events) if event["id"] in stored]
            await phone.rung(*kept)
            assert sorted(phone.rings) == sorted(stored)
        await balance(pool, delivered=kept)
