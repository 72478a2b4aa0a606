"""Brings edges from a file: in large transactions, each of which says how far it got."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from nova.backbone.database import Database
from nova.features.graph import edge_files, store_imports
from nova.features.graph.edge_files import LONGEST_LINE
from nova.features.graph.events import EdgesImported
from nova.features.graph.service import People
from nova.features.graph.sights import EVERYBODY, SIGNAL
from nova.features.graph.store_imports import Progress
from nova.kernel.clock import Clock
from nova.kernel.errors import Refused
from nova.kernel.recent import Recent

STRETCH = 8 << 20
"""Bytes of a file in one transaction."""
STRETCH_S = 300.0
"""For how long a statement that stores one may run, on a slow disk; the pool has to allow it."""
REMEMBERED = 4_000_000
"""People whose numbers are kept, about a hundred bytes each."""
ASKED = 5_000
"""People looked up at once."""

Problems = Sequence[tuple[int, str]]
Read = Callable[[bytes, int], edge_files.Read]


class _Stretch(Struct, frozen=True):
    """Some lines of a file, with their people looked up."""

    edges: Sequence[tuple[int, int, int]]
    """Line, follower and followee."""
    problems: Problems
    lines: int
    size: int
    """In bytes; 0 at the file's end."""


class EdgeImport:
    """Imports a file of edges; cut off at any moment, it goes on where it stopped."""

    def __init__(
        self, db: Database, clock: Clock, people: People, *, stretch: int = STRETCH
    ) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._stretch = stretch
        self._numbers: Recent[str, int] = Recent(REMEMBERED)

    async def run(
        self, file: Path, tell: Callable[[Progress, Problems], None], *, again: bool = False
    ) -> Progress:
        """Import a file; `tell` hears of every stretch: how far, and which lines were refused.

        A file that is finished already is only read `again` if that is asked for.
        """
        with file.open("rb") as opened:
            name = await asyncio.to_thread(_fingerprint, opened)
            at = await store_imports.progress(self._db, name)
            if again and at.finished:
                at = Progress()
            opened.seek(at.position)
            read = _reader(file)
            coming = None if at.finished else self._coming(opened, read, at.line)
            while coming is not None:
                stretch = await coming
                # The next one is read while the database stores this one.
                coming = self._coming(opened, read, at.line + stretch.lines)
                try:
                    at, problems = await self._store(name, file.name, at, stretch)
                    tell(at, problems)
                except BaseException:
                    await _ended(coming)
                    raise
                if at.finished:
                    await _ended(coming)
                    coming = None
        return at

    def _coming(self, opened: BufferedReader, read: Read, line: int) -> asyncio.Task[_Stretch]:
        return asyncio.create_task(self._stretch_of(opened, read, line))

    async def _stretch_of(self, opened: BufferedReader, read: Read, line: int) -> _Stretch:
        """Read the next stretch of a file, after so many lines, and look its people up."""
        start = opened.tell()
        raw = _whole_lines(opened, self._stretch)
        found = read(raw, line + 1)
        edges, problems = await self._edges(found)
        return _Stretch(edges, problems, found.lines, opened.tell() - start)

    async def _store(
        self, name: bytes, title: str, at: Progress, stretch: _Stretch
    ) -> tuple[Progress, Problems]:
        edges, problems = stretch.edges, [*stretch.problems]
        now = self._clock.now()
        async with self._db.transaction() as tx:
            added, out = await store_imports.arrive(tx, edges, now) if edges else (0, {})
            problems += out.items()
            to = replace(
                at,
                position=at.position + stretch.size,
                line=at.line + stretch.lines,
                added=at.added + added,
                known=at.known + len(edges) - len(out) - added,
                refused=at.refused + len(problems),
                finished=stretch.size == 0,
            )
            await store_imports.move(tx, name, title, to, now)
            if to.finished:
                await tx.emit(EdgesImported(name=title, added=to.added))
                tx.signal(SIGNAL, EVERYBODY)
        return to, sorted(problems)

    async def _edges(
        self, found: edge_files.Read
    ) -> tuple[list[tuple[int, int, int]], list[tuple[int, str]]]:
        """Return (line, follower, followee) by numbers, and what is wrong with other lines."""
        await self._learn(found)
        number = self._numbers.get
        edges: list[tuple[int, int, int]] = []
        problems = list(found.problems)
        for line, one, other in zip(found.numbers, found.followers, found.followees, strict=True):
            follower, followee = number(one), number(other)
            if follower is None or followee is None:
                unknown = one if follower is None else other
                problems.append((line, f"there is no user {unknown!r}"))
            elif follower == followee:
                problems.append((line, "nobody follows themselves"))
            else:
                edges.append((line, follower, followee))
        return edges, problems

    async def _learn(self, found: edge_files.Read) -> None:
        """Look up the people of a stretch who are not remembered."""
        known = self._numbers.get
        names = {*found.followers, *found.followees}
        missing = [each for each in names if known(each) is None]
        for start in range(0, len(missing), ASKED):
            asked = missing[start : start + ASKED]
            users = await self._people.resolve(asked)
            numbers = await self._numbered(list(set(users.values())))
            for reference, user in users.items():
                self._numbers.put(reference, numbers[user])

    async def _numbered(self, users: Sequence[UUID]) -> dict[UUID, int]:
        async with self._db.transaction() as tx:
            return await store_imports.numbers(tx, users)


def _reader(file: Path) -> Read:
    is_csv = file.suffix.lower() == ".csv"
    return edge_files.comma_separated if is_csv else edge_files.json_lines


async def _ended(task: asyncio.Task[_Stretch]) -> None:
    """End a task whose result nobody needs any more."""
    task.cancel()
    with suppress(asyncio.CancelledError, Refused):
        await task


def _fingerprint(opened: BufferedReader) -> bytes:
    """Return what tells a file's content from others': a line that was mended makes another."""
    return file_digest(opened, "sha256").digest()


def _whole_lines(opened: BufferedReader, size: int) -> bytes:
    """Read about `size` bytes, up to the end of a line; of a line that is far too long, a part."""
    stretch = opened.read(size)
    if stretch and not stretch.endswith(b"\n"):
        rest = opened.readline(LONGEST_LINE)
        stretch += rest
        while rest and not rest.endswith(b"\n"):
            rest = opened.readline(LONGEST_LINE)
            if rest:
                stretch = stretch.removesuffix(b"\n") + b"\n"
    return stretch
