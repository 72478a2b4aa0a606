"""Connections to the relay: a bounded number, used again, each by one mail at a time."""

import asyncio
import ssl
from collections import deque
from time import monotonic
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from msgspec import Struct

from nova.adapters.smtp.rules import Stage
from nova.wire.exchange import Unsent

Security = Literal["tls", "starttls", "none"]
BROKEN = (SMTPException, OSError, ValueError)
_MOST_MAILS = 100
"""Mails on a connection: many servers end it, or slow it down, after some more."""
_QUIT_S = 2.0


class Relay(Struct, frozen=True):
    """The mail server that takes our mail."""

    host: str
    port: int
    security: Security = "starttls"
    username: str = ""
    password: str = ""
    hello: str = "localhost"
    """The name by which we introduce ourselves: the sender's domain."""
    connections: int = 4
    waiting: int = 1000
    timeout_s: float = 30.0
    idle_s: float = 30.0


class Refusal(Exception):
    """The server's answer to a step was no."""

    def __init__(self, stage: Stage, status: int, text: str) -> None:
        self.stage: Stage = stage
        self.status, self.text = status, text
        super().__init__(f"{stage}: {status} {text}")


class Line:
    """One connection."""

    def __init__(self, client: SMTP) -> None:
        self.client = client
        self.mails = 0
        self.used_at = monotonic()

    @property
    def usable(self) -> bool:
        return self.client.is_connected and self.mails < _MOST_MAILS

    def drop(self) -> None:
        """Close without a goodbye."""
        self.client.close()

    async def quit(self) -> None:
        try:
            async with asyncio.timeout(_QUIT_S):
                await self.client.quit()
        except (*BROKEN, TimeoutError):
            self.drop()


class Pool:
    """Hands out connections; who waits is served in order."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext) -> None:
        self._relay = relay
        self._tls = tls
        self._idle: list[Line] = []
        self._free = relay.connections
        self._waiting: deque[asyncio.Future[None]] = deque()  # full: the mail is Unsent
        self._tidying: asyncio.TimerHandle | None = None
        self._quitting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, *, fresh: bool = False) -> Line:
        """Return a connection of one's own; give it back. Raises Unsent, or Refusal."""
        await self._turn()
        try:
            while self._idle and not fresh:
                line = self._idle.pop()
                if line.usable and monotonic() - line.used_at < self._relay.idle_s:
                    return line
                self._quit(line)
            return await self._open()
        except BaseException:
            self._leave()
            raise

    def give(self, line: Line) -> None:
        """Give a connection back; one that is broken or used up is not used again."""
        line.used_at = monotonic()
        if self._closed or not line.usable:
            self._quit(line)
        else:
            self._idle.append(line)
            self._tidy_later()
        self._leave()

    async def close(self) -> None:
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unsent("the client was closed"))
        while self._idle:
            self._quit(self._idle.pop())
        if self._quitting:
            await asyncio.gather(*self._quitting)

    async def _turn(self) -> None:
        if self._closed:
            raise Unsent("the client was closed")
        if self._free > 0:
            self._free -= 1
            return
        if len(self._waiting) >= self._relay.waiting:
            raise Unsent(f"{len(self._waiting)} mails wait for a connection already", 1.0)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._leave()  # the turn had come: it goes to the next one
            raise

    def _leave(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def _open(self) -> Line:
        relay = self._relay
        client = SMTP(
            hostname=relay.host,
            port=relay.port,
            local_hostname=relay.hello,
            timeout=relay.timeout_s,
            use_tls=relay.security == "tls",
            start_tls=relay.security == "starttls",
            tls_context=None if relay.security == "none" else self._tls,
        )
        stage: Stage = "connect"
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            if relay.username:
                stage = "login"
                await client.login(relay.username, relay.password)
        except SMTPResponseException as wrong:
            client.close()
            raise Refusal(stage, wrong.code, str(wrong.message)) from wrong
        except (SMTPConnectError, SMTPTimeoutError, SMTPServerDisconnected, OSError) as wrong:
            client.close()
            raise Unsent(f"{relay.host}:{relay.port} cannot be reached: {wrong}") from wrong
        except SMTPException as wrong:  # no STARTTLS, or no way to log in that both know
            client.close()
            raise Refusal("login", 530, str(wrong)) from wrong
        return Line(client)

    def _quit(self, line: Line) -> None:
        if not line.client.is_connected:
            line.drop()
            return
        task = asyncio.get_running_loop().create_task(line.quit())
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)

    def _tidy_later(self) -> None:
        if self._tidying is None:
            loop = asyncio.get_running_loop()
            self._tidying = loop.call_later(self._relay.idle_s, self._tidy)

    def _tidy(self) -> None:
        """Say goodbye on connections that nobody used for a while."""
        self._tidying = None
        old = monotonic() - self._relay.idle_s
        for line in [each for each in self._idle if each.used_at <= old]:
            self._idle.remove(line)
            self._quit(line)
        if self._idle and not self._closed:
            self._tidy_later()
