"""What was accepted arrives, once, whatever is killed meanwhile."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from support.app import App, like
from support.deployment import Deployment, deployed
from support.proxy import Proxy, proxied

EVENTS = 120


async def settled(app: App, user: str, count: int) -> list[dict[str, Any]]:
    """Return the inbox once it has so many notifications."""
    async with asyncio.timeout(60):
        while len(found := await app.inbox(user)) < count:  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.05)
    return found


async def under_load(
    deployment: Deployment, fault: Callable[[App, int], Awaitable[None]], turns: int
) -> None:
    """Post events from several clients, do the fault again and again, and look for every event."""
    app = await deployment.start()
    ada, ben = await app.people(2)
    events = [like(to=ben, by=ada) for _ in range(EVENTS)]
    sent, accepted = 0, asyncio.Event()

    async def client(own: list[dict[str, Any]]) -> None:
        nonlocal sent
        for event in own:
            await deployment.send(event)
            sent += 1
            accepted.set()

    async def faults() -> None:
        for turn in range(turns):
            while sent < EVENTS * (turn + 1) // (turns + 1):
                accepted.clear()
                await accepted.wait()
            await fault(await deployment.app(), turn)

    async with asyncio.timeout(120):
        await asyncio.gather(faults(), *(client(events[n::6]) for n in range(6)))
    app = await deployment.app()
    last = like(to=ben, by=ada)
    await deployment.send(last)
    found = [each["event_id"] for each in await settled(app, ben, EVENTS + 1)]
    assert found[0] == last["id"]
    assert sorted(found) == sorted(event["id"] for event in [*events, last])
    assert await app.counts(ben) == {"unseen": EVENTS + 1, "unread": EVENTS + 1}


async def test_a_server_killed_over_and_over_delivers_every_event_once(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:

        async def kill(_app: App, _turn: int) -> None:
            await deployment.kill()
            await deployment.start()

        await under_load(deployment, kill, turns=3)


async def test_a_killed_database_comes_back_and_every_event_arrives_once(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:

        async def kill(_app: App, _turn: int) -> None:
            file = deployment.data / "postgres" / "pgdata" / "postmaster.pid"
            [found] = [file] if file.exists() else deployment.data.rglob("postmaster.pid")
            os.kill(int(found.read_text("ascii").split()[0]), signal.SIGKILL)

        await under_load(deployment, kill, turns=1)
    assert b"Traceback" not in deployment.output


async def test_commits_whose_answers_are_lost_do_nothing_twice(tmp_path: Path, dsn: str) -> None:
    (tmp_path / "proxy").mkdir()
    async with (
        proxied(dsn, tmp_path / "proxy") as proxy,
        deployed(tmp_path, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        await under_load(deployment, lambda _app, _turn: lost_commits(proxy), turns=4)


async def lost_commits(proxy: Proxy) -> None:
    proxy.cut_reply_to = b"commit"
    await asyncio.sleep(0.1)
    proxy.cut_reply_to = None


async def test_ending_the_server_closes_sockets_with_a_reason_and_exits_cleanly(
    tmp_path: Path,
) -> None:
    async with deployed(tmp_path, NOVA_SOCKET_DRAIN_S="0.2") as deployment:
        app = await deployment.start()
        [ada] = await app.people(1)
        address = app.url.replace("http", "ws") + "/connection/websocket"
        async with connect(address) as socket:
            await socket.send(f'{{"id":1,"connect":{{"token":"{app.token(ada)}"}}}}')
            await socket.recv()
            ending = asyncio.create_task(deployment.end())
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 3001
            assert await ending == 0


async def test_secrets_and_messages_are_never_in_what_the_server_says(tmp_path: Path) -> None:
    async with deployed(tmp_path, NOVA_HTTP_ACCESS_LOG="true") as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        canary = "canary-4d1c"
        event = like(to=ben, by=ada, metadata={"text": canary})
        token = app.token(ben)
        async with app.phone(ben) as phone, app.client() as client:
            await app.send(event)
            await phone.until(lambda phone: phone.rings == [event["id"]])
            bad = await client.post("/v1/events", json={"text": canary})
            assert bad.is_client_error
            for bearer in (token + "x", app.server.server_key + "x"):
                header = {"Authorization": f"Bearer {bearer}"}
                answer = await client.get("/v1/notifications", headers=header)
                assert answer.status_code == 401
            numbers = (await client.get("/metrics")).text
        assert await deployment.end() == 0
    said = deployment.output.decode() + numbers
    assert "nova_" in numbers
    for secret in (canary, token, token.split(".")[2], app.server.server_key, deployment.secret):
        assert secret not in said
