"""A proxy before PostgreSQL that does what networks do: lose, delay, cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from nova.bench.commits import CommitPoint, Statements

# PostgreSQL waits for the next command, in no transaction: what it was told last is durable.
READY = b"Z\0\0\0\5I"
LISTEN = b"listen "
NOTIFICATION = b"A"
HEAD = 5
"""Bytes of a message's letter and length."""


class Proxy:
    """Set its attributes at any time; they hold for open connections and for new ones."""

    def __init__(self, upstream: str, folder: Path) -> None:
        parts = urlsplit(upstream)
        query = parse_qs(parts.query)
        self._unix = query.pop("host", [None])[0]
        self._tcp = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._folder = folder
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        user = quote(parts.username or "", safe="")
        password = f":{quote(parts.password, safe='')}" if parts.password else ""
        options = {"host": [str(folder)]} | query
        self.dsn = f"postgresql://{user}{password}@{parts.path}?{urlencode(options, doseq=True)}"
        self.latency_s = 0.0
        self.blackhole = False
        """Bytes go in, in both directions, and never come out."""
        self.cut_reply_to: bytes | None = None
        """A connection is cut when the server answers bytes from the client that contain this."""
        self.swallow_reply_to: bytes | None = None
        """Likewise, but the connection stays open in silence."""
        self.deaf = False
        """Connections that listen (LISTEN) hear nothing more, those made from now on included."""
        self.unnotified = False
        """They hear answers, but no notifications: as behind a pool that shares connections."""
        self.at: CommitPoint | None = None
        """Where something is to happen, once."""

    async def serve(self) -> None:
        self._server = await asyncio.start_unix_server(self._relay, self._folder / ".s.PGSQL.5432")

    async def refuse(self) -> None:
        """Take no new connections, and cut those that are open; until `serve`."""
        if self._server:
            self._server.close()
        (self._folder / ".s.PGSQL.5432").unlink(missing_ok=True)
        self.reset()

    def reset(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def close(self) -> None:
        await self.refuse()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._unix:
                theirs = await asyncio.open_unix_connection(f"{self._unix}/.s.PGSQL.5432")
            else:
                theirs = await asyncio.open_connection(*self._tcp)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self)
        self._open |= {writer, theirs[1]}
        for source, target, direction in (
            (reader, theirs[1], link.to_server),
            (theirs[0], writer, link.to_client),
        ):
            task = asyncio.ensure_future(self._pump(source, target, direction, writer, theirs[1]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        direction: Callable[[bytes], Awaitable[bytes | None]],
        *ends: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                passing = await direction(data)
                if passing is None:
                    break
                target.write(passing)
                await target.drain()
        for end in ends:
            end.transport.abort()
            self._open.discard(end)


class _Link:
    """One connection: what passes in each direction; None cuts it."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._cut = self._silent = self._listens = False
        self._statements = Statements()
        self._kept: CommitPoint | None = None
        self._answers = _Answers()

    async def to_server(self, data: bytes) -> bytes | None:
        if self._proxy.blackhole:
            return b""
        self._listens |= _contains(data.lower(), LISTEN)
        self._cut |= _contains(data, self._proxy.cut_reply_to)
        self._silent |= _contains(data, self._proxy.swallow_reply_to)
        statements, point = self._statements.commits(data), self._proxy.at
        if point and statements and point.fits(statements):
            self._proxy.at = None
            if not point.kept:
                return await point.meet(data)
            self._kept = point
        return data

    async def to_client(self, data: bytes) -> bytes | None:
        if self._cut:
            return None
        if self._kept and READY in data:
            point, self._kept = self._kept, None
            return await point.meet(data)
        if self._listens and self._proxy.unnotified:
            return self._answers.only(data)
        deaf = self._listens and self._proxy.deaf
        return b"" if self._silent or deaf or self._proxy.blackhole else data


class _Answers:
    """Takes notifications out of what a server says, which comes in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def only(self, data: bytes) -> bytes:
        """Return the whole messages in it but notifications; a message is a letter and a length."""
        self._rest += data
        kept = []
        while len(self._rest) > HEAD:
            size = 1 + int.from_bytes(self._rest[1:HEAD])
            if len(self._rest) < size:
                break
            message, self._rest = self._rest[:size], self._rest[size:]
            if not message.startswith(NOTIFICATION):
                kept.append(message)
        return b"".join(kept)


def _contains(data: bytes, wanted: bytes | None) -> bool:
    return wanted is not None and wanted in data


@asynccontextmanager
async def proxied(upstream: str, folder: Path) -> AsyncIterator[Proxy]:
    """Yield a proxy before a database; its socket lies in `folder`."""
    proxy = Proxy(upstream, folder)
    await proxy.serve()
    try:
        yield proxy
    finally:
        await proxy.close()
