"""A server with sockets in a process of its own: for SDK suites and measurements.

    python -m support.socket_program '{"port": 8000, "secret": "secret", "namespaces": [...]}'

Tokens need no expiry, any user exists, and nothing outlives the process. It prints its port;
then, for each line on its standard input, a line of JSON: CPU seconds, memory, sockets. A line
`publish N` publishes N times to the channel `bench:all` first.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import uvloop
from msgspec import Struct

from nova.kernel.clock import SystemClock
from nova.web.actors import NOBODY, Actor, Meeting, User
from nova.web.auth import Subscription
from nova.web.realtime.families import Families
from nova.web.realtime.hub import Hub
from nova.web.realtime.namespaces import Namespace
from nova.web.realtime.socket_limits import Limits
from nova.web.tokens import Tokens
from support.memory import MemoryChannels
from support.sockets import sockets

PAYLOAD = json.dumps({"id": "0190a5f2", "type": "like", "text": "x" * 120}).encode()


class Wanted(Struct):
    port: int = 0
    secret: str = "secret"
    namespaces: list[Namespace] = []
    anonymous: bool = False
    ping_s: float = 25.0


class Signed:
    """Believes whoever holds a token."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def known(self, authorization: str) -> Actor | None:  # noqa: ARG002  # none is remembered
        return None

    async def bearer(self, authorization: str) -> Actor:
        return await self.user(authorization.removeprefix("Bearer "))

    async def user(self, token: str) -> User:
        verified = await self._tokens.user(token)
        return User(_named(verified.claims.sub), verified.id, verified.claims.exp)

    async def resolve(self, reference: str) -> UUID | None:
        return _named(reference)

    async def find_for(self, viewer: UUID, reference: str, meeting: Meeting) -> UUID | None:
        found = _named(reference)
        return found if meeting is not Meeting.SELF or found == viewer else None

    async def subscription(self, token: str) -> Subscription:
        verified = await self._tokens.subscription(token)
        claims = verified.claims
        return Subscription(
            _named(claims.sub), claims.channel or "", verified.id, claims.exp, bytes(claims.info)
        )


def _named(reference: str) -> UUID:
    return uuid5(NAMESPACE_URL, reference) if reference else NOBODY


def resident() -> int:
    """Return the memory that this process holds, in bytes."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize()


def _state(hub: Hub) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": usage.ru_utime + usage.ru_stime, "rss": resident(), "sockets": hub.sessions}


async def _obey(hub: Hub, channels: MemoryChannels) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, _, number = line.decode().strip().partition(" ")
        for _ in range(int(number or 0) if word == "publish" else 0):
            await channels.publish("bench:all", PAYLOAD)
            await asyncio.sleep(0)
        sys.stdout.write(json.dumps(_state(hub)) + "\n")
        sys.stdout.flush()


async def main() -> None:
    wanted = msgspec.json.decode(sys.argv[1] if len(sys.argv) > 1 else "{}", type=Wanted)
    tokens = Tokens(
        clock=SystemClock(),
        secret=wanted.secret,
        needs_expiry=False,
        needs_subject=not wanted.anonymous,
    )
    signed, channels = Signed(tokens), MemoryChannels()
    hub = Hub(
        channels=channels,
        families=Families([], wanted.namespaces),
        methods={},
        authenticator=signed,
        tickets=signed,
        clock=SystemClock(),
        limits=Limits(anonymous=wanted.anonymous, ping_s=wanted.ping_s),
    )
    channels.published = hub.deliver
    async with sockets(hub, signed, port=wanted.port) as running:
        sys.stdout.write(f"{running.port}\n")
        sys.stdout.flush()
        await _obey(hub, channels)


if __name__ == "__main__":
    uvloop.run(main())
