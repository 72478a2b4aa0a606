"""Where transactions commit, as the wire between Nova and PostgreSQL shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

SHORTEST = 5
"""Bytes of a message: a kind, and a length that includes itself."""


async def _nothing() -> None:
    pass


class CommitPoint:
    """The next commit of a transaction, or of a statement alone, that has all of `of` in it.

    What is looked at are statements and their arguments.
    `then` runs before PostgreSQL hears of the commit; with `kept`, when it is durable and Nova
    has not heard so. Afterwards the connection is cut, or goes on if `goes_on`.
    """

    def __init__(
        self,
        of: str | Sequence[str],
        then: Callable[[], Awaitable[None]] = _nothing,
        *,
        kept: bool,
        goes_on: bool = False,
    ) -> None:
        self._of = [each.encode() for each in ([of] if isinstance(of, str) else of)]
        self.kept = kept
        self._then = then
        self._goes_on = goes_on
        self._reached = asyncio.Event()

    def fits(self, statements: bytes) -> bool:
        return all(each in statements for each in self._of)

    async def reached(self, within_s: float = 300.0) -> None:
        """Wait until a transaction got here."""
        async with asyncio.timeout(within_s):
            await self._reached.wait()

    async def meet(self, data: bytes) -> bytes | None:
        """Do what is to be done here; return what passes on, or None for a cut."""
        await self._then()
        self._reached.set()
        return data if self._goes_on else None


class Statements:
    """Follows what one client sends: PostgreSQL's frontend messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False
        self._prepared: dict[bytes, bytes] = {}
        self._ran: list[bytes] = []
        self._in_transaction = False

    def commits(self, data: bytes) -> bytes | None:
        """Return the statements of the transaction that is to commit now, if one is."""
        self._buffer += data
        found = None
        for kind, body in self._messages():
            if kind == b"P":
                name, sql, _ = body.split(b"\0", 2)
                self._prepared[name] = sql
            elif kind == b"B":
                _, name, arguments = body.split(b"\0", 2)
                self._ran.append(self._prepared[name] + b"\n" + arguments)
                if not self._in_transaction:
                    found = self._ran.pop()
            elif kind == b"Q" and body == b"begin\0":
                self._ran.clear()
                self._in_transaction = True
            elif kind == b"Q" and body == b"commit\0":
                found = b"\n".join(self._ran)
                self._in_transaction = False
            elif kind == b"Q" and body == b"rollback\0":
                self._in_transaction = False
        return found

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield whole messages; the first one of a connection has no kind."""
        while len(self._buffer) >= SHORTEST:
            start = 1 if self._greeted else 0
            end = start + int.from_bytes(self._buffer[start : start + 4])
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[:end])
            del self._buffer[:end]
            if self._greeted:
                yield message[:1], message[5:]
            self._greeted = True
