"""Sockets that misbehave, alone or in thousands, cost the others nothing and lose nothing."""

import asyncio
import json
import random
import re
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from nova.web.realtime.codes import FIRST_TERMINAL, NO_PONG, SLOW, STALE
from support.app import App, like
from support.follower import following
from support.waiting import until
from support.wire_client import TEXT, Rude, handshake

MANY = 2_000
AT_ONCE = 60
T = TypeVar("T")
BULK = {"one": "x" * 3_900, "two": "y" * 3_900}


@pytest.fixture
def crowd() -> Iterator[list[Rude]]:
    """Yield where sockets are kept; they are closed at the end, also when the test fails."""
    sockets: list[Rude] = []
    yield sockets
    for each in sockets:
        each.writer.transport.abort()


async def opened(
    app: App, crowd: list[Rude], user: str, since: dict[str, Any] | None = None
) -> tuple[Rude, Any]:
    """Connect as a person; return the socket, and what it was told of the person's channel.

    Who is sent away to come again does so after a random while, as the SDKs do; and so does who
    was cut off, as a crowd in one slow process is that takes long to say what it wants.
    """
    pause = 0.1
    while True:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            client, _ = await handshake(app.server.host, app.server.port, receive_buffer=4096)
            crowd.append(client)
            client.say({"id": 1, "connect": {"token": app.token(user), "subs": since or {}}})
            while (answer := await client.frame()).payload == b"{}":
                pass  # a ping may come before the answer
            said = json.loads(answer.payload) if answer.opcode == TEXT else {}
            if "connect" in said:
                return client, said["connect"]["subs"]
            late = answer.code < FIRST_TERMINAL or answer.code == STALE.code
            assert said["error"]["temporary"] if said else late, answer
            client.writer.transport.abort()
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # jitter
        pause = min(pause * 2, 2.0)


async def at_once(things: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at the same time; where one fails, none of the others goes on."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in things]
    return [task.result() for task in tasks]


async def cut_off(app: App) -> int:
    """Return how many sockets were closed as slow, or for answering no ping."""
    async with app.client() as client:
        numbers = (await client.get("/metrics")).text
    codes = "|".join(str(each.code) for each in (SLOW, NO_PONG))
    return sum(map(int, re.findall(rf'closed_total{{code="(?:{codes})"}} (\d+)', numbers)))


async def test_a_socket_that_is_not_read_is_cut_off_and_later_finds_everything(
    app: App, crowd: list[Rude]
) -> None:
    ada, ben = await app.people(2)
    cut_before = await cut_off(app)
    sent: list[str] = []

    async def running() -> App:
        return app

    async with following(running, ben) as quick:
        slow, subs = await opened(app, crowd, ben)
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        while len(sent) < 300 or await cut_off(app) == cut_before:
            assert len(sent) < 900  # of the 1,000 that the history keeps
            events = [like(to=ben, by=ada, metadata=BULK) for _ in range(AT_ONCE)]
            results = await app.send(*events)
            assert {each["status"] for each in results} == {"accepted"}
            sent += [event["id"] for event in events]
            await quick.rung(*events)  # before the next ones are sent
        assert quick.rings == sent
        assert (quick.connections, quick.codes) == (1, [])
        slow.writer.transport.abort()
        [(channel, since)] = subs.items()
        back, subs = await opened(app, crowd, ben, {channel: since | {"recover": True}})
        # Too much for its queue: an answer with all of it would only cut it off again.
        assert not subs[channel].get("recovered")
        assert [each["event_id"] for each in await app.inbox(ben)] == sent[::-1]
        last = like(to=ben, by=ada)
        await app.send(last)
        assert (await back.heard())["push"]["pub"]["offset"] == len(sent) + 1


async def test_two_thousand_clients_that_come_back_at_once_all_hear_what_they_missed(
    app: App, crowd: list[Rude]
) -> None:
    ada, ben, *_ = people = await app.people(20)
    first = await at_once(opened(app, crowd, people[n % 20]) for n in range(MANY))
    for client, _ in first:
        client.writer.transport.abort()
    missed = {
        person: [like(to=person, by=ada if person != ada else ben) for _ in range(3)]
        for person in people
    }
    await app.send(*(event for events in missed.values() for event in events))
    await until(lambda: _all_have(app, people, 3))
    listening: list[asyncio.Task[dict[str, Any]]] = []
    late = like(to=ben, by=ada)

    async def come_back(group: asyncio.TaskGroup, n: int) -> None:
        person = people[n % 20]
        [(channel, since)] = first[n][1].items()
        client, subs = await opened(app, crowd, person, {channel: since | {"recover": True}})
        if person == ben:
            listening.append(group.create_task(next_push(client)))
        assert subs[channel]["recovered"]
        heard = [each["data"]["notification"]["event_id"] for each in subs[channel]["publications"]]
        assert heard == [event["id"] for event in missed[person]]

    async with asyncio.TaskGroup() as group:
        await at_once(come_back(group, n) for n in range(MANY))
        await app.send(late)
    assert len(listening) == MANY // 20
    for task in listening:
        assert task.result()["pub"]["data"]["notification"]["event_id"] == late["id"]


async def next_push(client: Rude) -> dict[str, Any]:
    """Answer pings until something else comes."""
    while (answer := await client.frame()).payload == b"{}":
        client.say({})
    push: dict[str, Any] = json.loads(answer.payload)["push"]
    return push


async def _all_have(app: App, people: list[str], count: int) -> bool:
    counts = [await app.counts(person) for person in people]
    return all(each["unread"] == count for each in counts)
