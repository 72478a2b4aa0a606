"""The WebSocket row of the bad-input matrix, on raw sockets."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from nova.web.connections import Guard
from nova.web.intake import MOST_ARRIVING
from nova.web.realtime.socket_limits import Limits
from support.clients import http_client
from support.http import SERVER, People, bearer
from support.memory import MemoryChannels
from support.sockets import Sockets, make_hub, sockets
from support.waiting import SOON_S, until
from support.wire_client import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Rude,
    frame,
    handshake,
    rude,
)

pytest_plugins = ["support.socket_fixtures"]

PUBLISH: dict[str, Any] = {"id": 2, "publish": {"channel": "open:one", "data": 1}}


async def alive(server: Sockets) -> None:
    """Another client is served as ever."""
    async with rude(server.host, server.port, "ben") as ben:
        ben.say(PUBLISH)
        assert (await ben.heard())["id"] == 2


RUDE: dict[str, tuple[bytes, int]] = {
    "reserved bit 1": (frame(TEXT, b"{}", rsv=4), 1002),
    "reserved bit 3": (frame(TEXT, b"{}", rsv=1), 1002),
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "reserved opcode": (frame(0x3, b"x"), 1002),
    "reserved control opcode": (frame(0xB, b"x"), 1002),
    "continuation of nothing": (frame(0x0, b"nothing to continue"), 1002),
    "message inside a message": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
    "bad UTF-8": (frame(TEXT, b'{"id":2,"rpc":{"method":"\xff\xfe"}}'), 1007),
    "message too long": (frame(TEXT, b"x" * 65_537), 1009),
    "flood of fragments": (frame(TEXT, b"", fin=False) + frame(0x0, b"", fin=False) * 300, 1009),
    "not JSON": (frame(TEXT, b"not json"), 3501),
    "deep JSON": (frame(TEXT, b"{" * 60_000), 3501),
    "negative id": (frame(TEXT, b'{"id":-1,"rpc":{}}'), 3501),
    "huge id": (frame(TEXT, b'{"id":99999999999,"rpc":{}}'), 3501),
    "text for an id": (frame(TEXT, b'{"id":"one","rpc":{}}'), 3501),
    "no id": (frame(TEXT, b'{"rpc":{}}'), 3501),
    "float beyond all": (
        frame(TEXT, b'{"id":2,"history":{"channel":"room:a","limit":1e400}}'),
        3501,
    ),
    "number of 5,000 digits": (
        frame(TEXT, b'{"id":2,"history":{"limit":' + b"9" * 5000 + b"}}"),
        3501,
    ),
    "binary to JSON": (frame(BINARY, b"\x00"), 3501),
    "second connect": (frame(TEXT, b'{"id":2,"connect":{"token":"ada"}}'), 3501),
}


@pytest.mark.parametrize("what", RUDE)
async def test_what_breaks_the_protocol_is_closed_with_the_reason(
    server: Sockets, what: str
) -> None:
    sent, code = RUDE[what]
    async with rude(server.host, server.port, "ada") as client:
        client.write(sent)
        assert await client.closed() == code
        assert await client.gone() == b""
    await alive(server)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({"subscribe": {"channel": "nowhere:one"}}, 102),
        ({"subscribe": {"channel": ""}}, 102),
        ({"subscribe": {"channel": "room:" + "x" * 255}}, 107),
        ({"subscribe": {"channel": "room:\0"}}, 107),
        ({"subscribe": {"channel": "closed:one"}}, 103),
        ({"subscribe": {"channel": "closed:one", "token": "not a token"}}, 103),
        ({"publish": {"channel": "closed:one", "data": 1}}, 103),
        ({"publish": {"channel": "open:one"}}, 107),
        ({"presence": {"channel": "open:one"}}, 108),
        ({"history": {"channel": "open:one"}}, 108),
        ({"sub_refresh": {"channel": "room:one"}}, 107),
        ({"rpc": {"method": "nothing"}}, 108),
        ({"unheard_of": {}}, 104),
    ],
)
async def test_what_cannot_be_done_is_answered_and_the_socket_stays(
    server: Sockets, command: dict[str, Any], error: int
) -> None:
    async with rude(server.host, server.port, "ada") as client:
        client.say({"id": 2, **command}, {"id": 3, "ping": {}})
        answer = await client.heard()
        assert (answer["id"], answer["error"]["code"]) == (2, error)
        assert await client.heard() == {"id": 3, "ping": {}}


async def test_a_command_before_connect_ends_the_socket(server: Sockets) -> None:
    async with rude(server.host, server.port) as client:
        client.say({"id": 1, "publish": {"channel": "open:one", "data": 1}})
        assert await client.closed() == 3501


async def test_a_bad_token_ends_the_socket_for_good(server: Sockets) -> None:
    async with rude(server.host, server.port) as client:
        client.say({"id": 1, "connect": {"token": "nobody"}})
        assert await client.closed() == 3500


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, "101"),
        ("http://{host}", "101"),
        ("https://app.example", "101"),
        ("https://evil.example", "403"),
        ("https://app.example.evil.example", "403"),
        ("null", "403"),
        ("http://[", "403"),
    ],
)
async def test_a_page_of_a_foreign_origin_gets_no_socket(
    opened: Any, origin: str | None, status: str
) -> None:
    async with opened(origins=["https://app.example"]) as server:
        address = f"{server.host}:{server.port}"
        headers = [] if origin is None else ["Origin: " + origin.format(host=address)]
        client, line = await handshake(server.host, server.port, headers=headers)
        assert status in line
        client.writer.transport.abort()


async def test_a_client_may_not_subscribe_without_end(opened: Any) -> None:
    async with (
        opened(limits=Limits(subscriptions=3)) as server,
        rude(server.host, server.port, "ada") as client,
    ):
        for number in range(5):
            client.say({"id": number + 2, "subscribe": {"channel": f"open:{number}"}})
        answers = [await client.heard() for _ in range(5)]
        errors = [answer.get("error", {}).get("code") for answer in answers]
        assert errors == [None, None, None, 106, 106]


async def test_a_full_server_sends_clients_away_to_come_back(opened: Any) -> None:
    async with (
        opened(limits=Limits(connections=1)) as server,
        rude(server.host, server.port, "ada"),
        rude(server.host, server.port) as second,
    ):
        assert 3000 <= await second.closed() < 3500


async def test_whoever_pings_and_reads_no_pong_is_cut_off(opened: Any) -> None:
    async with opened(limits=Limits(queue_bytes=10_000)) as server:
        async with rude(server.host, server.port, "ada", receive_buffer=4096) as client:
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
            flood = frame(PING, b"x" * 125) * 1000

            async def gone() -> bool:
                if not client.writer.is_closing():
                    client.write(flood)
                await asyncio.sleep(0)
                return bool(server.hub.sessions == 0)

            await until(gone)
        await alive(server)


async def test_whoever_asks_and_reads_no_answer_is_cut_off(opened: Any) -> None:
    async with opened(limits=Limits(queue_bytes=10_000)) as server:
        async with rude(server.host, server.port, "ada", receive_buffer=4096) as client:
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
            asked = b"\n".join(b'{"id":%d,"rpc":{"method":"x"}}' % each for each in range(2, 1500))
            flood = frame(TEXT, asked)

            async def gone() -> bool:
                if not client.writer.is_closing():
                    client.write(flood)
                await asyncio.sleep(0)
                return bool(server.hub.sessions == 0)

            await until(gone)
            # Too many answers wait, or too many commands: whichever is found out first.
            assert server.hub.disconnects[3008] + server.hub.disconnects[3013] == 1
        await alive(server)


async def test_commands_are_answered_in_order_however_many_share_a_frame(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as client:
        client.say(*({"id": number, "ping": {}} for number in range(2, 2000)))
        assert [(await client.heard())["id"] for _ in range(2, 2000)] == list(range(2, 2000))


async def test_messages_come_in_any_pieces(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as client:
        text = json.dumps({"id": 2, "publish": {"channel": "open:one", "data": "ä" * 100}}).encode()
        pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
        whole = frame(TEXT, pieces[0], fin=False) + b"".join(
            frame(0x0, piece, fin=piece is pieces[-1]) + frame(PING, b"between")
            for piece in pieces[1:]
        )
        for at in range(0, len(whole), 11):
            client.write(whole[at : at + 11])
            await asyncio.sleep(0)
        assert await _reply(client) == {"id": 2, "publish": {}}


async def _reply(client: Rude) -> Any:
    while (got := await client.frame()).opcode == PONG:
        pass
    return json.loads(got.payload)


async def test_a_flood_of_fragments_takes_no_memory(server: Sockets) -> None:
    def resident() -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmRSS" in line)

    before = resident()
    async with rude(server.host, server.port, "ada") as client:
        client.write(frame(TEXT, b"x", fin=False), *[frame(0x0, b"", fin=False)] * 100_000)
        await client.gone()
    assert resident() - before < 64 << 20
    await alive(server)


async def test_an_empty_offer_of_subprotocols_is_no_offer(server: Sockets) -> None:
    offer = ["Sec-WebSocket-Protocol: "]  # what centrifuge-python sends with websockets 15
    client, line = await handshake(server.host, server.port, headers=offer)
    assert "101" in line
    assert "client" in await client.connect("ada")
    client.writer.transport.abort()


async def test_websockets_do_not_count_as_connections_of_http() -> None:
    people = People("ada")
    hub = make_hub(MemoryChannels(), people)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(sockets(hub, people, guard=Guard(connections=1)))
        for _ in range(3):
            await stack.enter_async_context(rude(server.host, server.port, "ada"))
        assert hub.sessions == 3


async def test_what_is_published_over_http_has_to_be_utf_8(server: Sockets) -> None:
    async with http_client(f"http://{server.host}:{server.port}") as client:
        answer = await client.post(
            "/v1/channels/open:one/publications",
            content=b'{"data":"caf\xe9"}',
            headers=bearer(SERVER) | {"content-type": "application/json"},
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


class Upload:
    """A request whose body is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def begin(cls, server: Sockets, path: str) -> Self:
        upload = cls(*await asyncio.open_connection(server.host, server.port))
        head = f"POST {path} HTTP/1.1\r\nHost: nova\r\nContent-Length: 2\r\n\r\n{{"
        upload._writer.write(head.encode())
        return upload

    async def status(self, *, rest: bytes = b"") -> int:
        self._writer.write(rest)
        line = await asyncio.wait_for(self._reader.readline(), SOON_S)
        self._writer.close()
        return int(line.split()[1])


@pytest.mark.parametrize("path", ["/emulation", "/connection/http_stream"])
async def test_of_too_many_bodies_under_way_the_oldest_gives_way(
    server: Sockets, path: str
) -> None:
    """So whoever sends many that never end keeps nobody out behind the same address."""
    oldest, *others = [await Upload.begin(server, path) for _ in range(MOST_ARRIVING)]
    newest = await Upload.begin(server, path)
    assert await oldest.status() == 429
    assert await newest.status(rest=b"x") != 429
    assert 429 not in {await upload.status(rest=b"x") for upload in others}
