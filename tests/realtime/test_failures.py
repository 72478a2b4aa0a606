"""Whatever fails inside a command, the client gets an answer or is closed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from msgspec import Struct
from structlog.testing import capture_logs

from nova.kernel.clock import ManualClock
from nova.ports.channels import Page, Position, Publication, Retention
from nova.web.actors import User
from nova.web.auth import Subscription
from nova.web.realtime import client_pb2 as pb
from nova.web.realtime.alone import Alone
from nova.web.tokens import mint
from support.http import People
from support.memory import MemoryChannels
from support.sockets import ROOM, SECRET, SignedTickets, Sockets, make_hub, sockets
from support.wire_client import BINARY, CLOSE, TEXT, Rude, frame, handshake

SURROGATE = "\ud800"
"""No encoding has bytes for it."""
BUG, CANCELLED = RuntimeError, asyncio.CancelledError


class Faults:
    """What the ports do instead of their work, once something is set."""

    raised: type[BaseException] | None = None
    odd = False

    def strike(self) -> None:
        if self.raised is not None:
            raise self.raised


FAULTS = Faults()
OPENED: list[Rude] = []


class FaultyPeople(People):
    async def user(self, token: str) -> User:
        FAULTS.strike()
        return await super().user(token)


class LatePeople(People):
    """Tokens `<name>@<seconds>` expire at that time."""

    async def user(self, token: str) -> User:
        name, _, seconds = token.partition("@")
        return User(self.ids[name], token, float(seconds) if seconds else None)


class FaultyTickets(SignedTickets):
    async def subscription(self, token: str) -> Subscription:
        FAULTS.strike()
        return await super().subscription(token)


class FaultyPresence(Alone):
    def leave(self, channel: str, client: str) -> None:  # noqa: ARG002  # the port's
        FAULTS.strike()

    async def elsewhere(self, channel: str) -> Mapping[str, bytes]:  # noqa: ARG002  # the port's
        FAULTS.strike()
        return {}


class FaultyChannels(MemoryChannels):
    def _position(self, channel: str) -> Position:
        FAULTS.strike()
        return Position(SURROGATE, 1) if FAULTS.odd else super()._position(channel)

    async def history(self, channel: str, *_: Any, **__: Any) -> Page:
        return Page(self._position(channel), [])

    async def publish(self, channel: str, *_: Any, **__: Any) -> Position:
        return self._position(channel)


class Work(Struct):
    """A method whose result nobody can encode, or that fails."""

    method: str = "work"
    params: Any = dict[str, Any]
    cost: int = 1

    async def handler(self, _user: User, _params: Any) -> Any:
        FAULTS.strike()
        return SURROGATE if FAULTS.odd else "done"


class Inbox(Struct):
    """A feature's family of channels: each user's own."""

    name: str = "user"
    retention: Retention = Retention(100, 60)
    presence: bool = False
    of_users: bool = True

    @property
    def at_connect(self) -> Callable[[User], Sequence[str]]:
        return lambda user: [f"user:{user.id}"]

    async def may_subscribe(self, user: User, channel: str) -> bool:
        FAULTS.strike()
        return channel == f"user:{user.id}"


class Client:
    """A client of either encoding."""

    def __init__(self, wire: Rude, *, binary: bool) -> None:
        self._wire = wire
        self._binary = binary

    def say(self, command: dict[str, Any]) -> None:
        if not self._binary:
            self._wire.say(command)
            return
        said = pb.Command()
        ParseDict({name: _without_data(asked) for name, asked in command.items()}, said)
        if "publish" in command:
            said.publish.data = b"1"
        message = said.SerializeToString()
        self._wire.write(frame(BINARY, length(len(message)) + message))

    async def answer(self, number: int) -> dict[str, Any]:
        """Return the reply, or `{"closed": code}`; pushes are passed over."""
        while True:
            got = await self._wire.frame()
            if got.opcode == CLOSE:
                return {"closed": got.code}
            assert got.opcode == (BINARY if self._binary else TEXT)
            for reply in self._decoded(got.payload):
                if reply.get("id") == number:
                    return reply

    def _decoded(self, payload: bytes) -> list[dict[str, Any]]:
        if not self._binary:
            return [json.loads(line) for line in payload.split(b"\n")]
        replies = []
        while payload:
            size, payload = varint(payload)
            replies.append(
                MessageToDict(pb.Reply.FromString(payload[:size]), preserving_proto_field_name=True)
            )
            payload = payload[size:]
        return replies


def _without_data(asked: Any) -> Any:
    """Return a command without its data, which is JSON in one encoding and bytes in the other."""
    return {k: v for k, v in asked.items() if k != "data"} if isinstance(asked, dict) else asked


def length(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def varint(payload: bytes) -> tuple[int, bytes]:
    number = 0
    for at, byte in enumerate(payload):
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return number, payload[at + 1 :]
    raise AssertionError(payload)


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Log into a list, since a traceback with all its variables is slow to print."""
    with capture_logs():
        yield


@pytest.fixture
async def server() -> AsyncIterator[Sockets]:
    people, channels = FaultyPeople("ada", "ben"), FaultyChannels()
    hub = make_hub(
        channels,
        people,
        families=[Inbox()],
        namespaces=[ROOM],
        rpcs=[Work()],
        tickets=FaultyTickets(people),
        presence=FaultyPresence(),
    )
    async with sockets(hub, people) as running:
        yield running
        recovered()
        hang_up()


def recovered() -> None:
    FAULTS.raised, FAULTS.odd = None, False


def hang_up() -> None:
    for one in OPENED:
        one.writer.transport.abort()
    OPENED.clear()


async def opened(server: Sockets, *, binary: bool) -> Client:
    headers = ["Sec-WebSocket-Protocol: centrifuge-protobuf"] if binary else []
    wire, line = await handshake(server.host, server.port, headers=headers)
    OPENED.append(wire)
    assert "101" in line
    return Client(wire, binary=binary)


async def connected(server: Sockets, *, binary: bool) -> Client:
    """Return a client that is in `room:in`."""
    client = await opened(server, binary=binary)
    client.say({"id": 1, "connect": {"token": "ada"}})
    assert "connect" in await client.answer(1)
    client.say({"id": 2, "subscribe": {"channel": "room:in"}})
    assert "subscribe" in await client.answer(2)
    return client


TICKET = mint(SECRET, "ada", channel="room:new")
COMMANDS: dict[str, dict[str, Any]] = {
    "subscribe": {"subscribe": {"channel": "room:new"}},
    "subscribe, recovering": {"subscribe": {"channel": "room:new", "recover": True}},
    "subscribe with a token": {"subscribe": {"channel": "room:new", "token": TICKET}},
    "subscribe to a feature's": {"subscribe": {"channel": "user:x"}},
    "unsubscribe": {"unsubscribe": {"channel": "room:in"}},
    "publish": {"publish": {"channel": "room:in", "data": 1}},
    "presence": {"presence": {"channel": "room:in"}},
    "presence_stats": {"presence_stats": {"channel": "room:in"}},
    "history": {"history": {"channel": "room:in", "limit": 10}},
    "rpc": {"rpc": {"method": "work"}},
    "refresh": {"refresh": {"token": "ada"}},
    "sub_refresh": {"sub_refresh": {"channel": "room:in", "token": TICKET}},
}
UNENCODABLE = ("subscribe", "history", "rpc")


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("fault", [BUG, CANCELLED], ids=["bug", "cancelled"])
@pytest.mark.parametrize("what", COMMANDS)
async def test_a_failure_inside_a_command_is_answered_and_the_socket_stays(
    server: Sockets, what: str, fault: type[BaseException], binary: bool
) -> None:
    client = await connected(server, binary=binary)
    FAULTS.raised = fault
    client.say({"id": 7, **COMMANDS[what]})
    answer = await client.answer(7)
    assert answer["error"]["code"] == 100, answer
    recovered()
    client.say({"id": 8, "rpc": {"method": "work"}})
    assert "rpc" in await client.answer(8)
    assert server.hub.failures == 1


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("fault", [BUG, CANCELLED], ids=["bug", "cancelled"])
async def test_a_failure_inside_connect_is_answered(
    server: Sockets, fault: type[BaseException], binary: bool
) -> None:
    client = await opened(server, binary=binary)
    FAULTS.raised = fault
    client.say({"id": 7, "connect": {"token": "ada"}})
    assert (await client.answer(7))["error"]["code"] == 100
    recovered()
    client.say({"id": 8, "connect": {"token": "ada"}})
    assert "connect" in await client.answer(8)


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("what", UNENCODABLE)
async def test_a_result_that_cannot_be_encoded_is_an_error_or_the_end(
    server: Sockets, what: str, binary: bool
) -> None:
    client = await connected(server, binary=binary)
    FAULTS.odd = True
    client.say({"id": 7, **COMMANDS[what]})
    answer = await client.answer(7)
    assert answer["error"]["code"] == 100, answer
    recovered()
    client.say({"id": 8, "rpc": {"method": "work"}})
    then = await client.answer(8)
    # A subscription that the client does not know of must not go on.
    assert ("rpc" in then) if what != "subscribe" else then == {"closed": 3004}


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
async def test_an_answer_to_connect_that_cannot_be_encoded_ends_the_socket(
    server: Sockets, binary: bool
) -> None:
    client = await opened(server, binary=binary)
    FAULTS.odd = True
    client.say({"id": 7, "connect": {"token": "ada"}})
    assert (await client.answer(7))["error"]["code"] == 100
    assert await client.answer(8) == {"closed": 3004}


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
async def test_answers_beside_one_that_cannot_be_encoded_arrive(
    server: Sockets, binary: bool
) -> None:
    client = await connected(server, binary=binary)
    FAULTS.odd = True
    client.say({"id": 7, "ping": {}})
    client.say({"id": 8, **COMMANDS["history"]})
    client.say({"id": 9, "ping": {}})
    assert "error" not in await client.answer(7)
    assert (await client.answer(8))["error"]["code"] == 100
    assert "error" not in await client.answer(9)


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
async def test_a_publication_that_cannot_be_encoded_ends_the_sockets_that_should_get_it(
    server: Sockets, binary: bool
) -> None:
    client = await connected(server, binary=binary)
    good = Publication("room:in", 1, b"1")
    broken = Publication("room:in", 0, b"1", b"not JSON" if binary else None)
    if not binary:
        broken = Publication("room:in", 0, b'{"a":\n')  # has to become one line
    server.hub.deliver([broken, good])
    assert await client.answer(99) == {"closed": 3004}
    assert server.hub.failures == 1


@pytest.mark.parametrize("binary", [False, True], ids=["json", "protobuf"])
@pytest.mark.parametrize("ahead_s", [60.0, 2**31, 2**32 + 5, 9e11])
async def test_a_token_that_expires_in_ages_connects_subscribes_and_refreshes(
    binary: bool, ahead_s: float
) -> None:
    people, channels = LatePeople("ada"), MemoryChannels()
    clock = ManualClock(datetime.fromtimestamp(time(), UTC))
    until = clock.now().timestamp() + ahead_s
    hub = make_hub(channels, people, namespaces=[ROOM], clock=clock)
    expected = min(int(ahead_s), 2**31 - 1)
    async with sockets(hub, people) as server:
        client = await opened(server, binary=binary)
        token = f"ada@{until}"
        ticket = mint(SECRET, "ada", channel="room:one", exp=int(time() + ahead_s))
        for command in (
            {"connect": {"token": token}},
            {"subscribe": {"channel": "room:one", "token": ticket}},
            {"refresh": {"token": token}},
            {"sub_refresh": {"channel": "room:one", "token": ticket}},
        ):
            [(name, _)] = command.items()
            client.say({"id": 3, **command})
            answer = (await client.answer(3))[name]
            assert answer["expires"]
            assert abs(answer["ttl"] - expected) < 60
        hang_up()
