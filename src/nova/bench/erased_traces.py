"""Search all tables and files for data of an erased person."""

import asyncio
import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from nova.ports.database import Queries

# One statement for each table and each partition of one, written by PostgreSQL from its catalogue.
# Binary columns are searched as bytes, all others as the text that PostgreSQL shows.
TABLES = """
select c.oid::regclass::text as name, format(
    'select w.word, count(*) as found from unnest($1::text[], $2::bytea[]) as w (word, bytes)
       join %s t on %s group by w.word',
    c.oid::regclass, string_agg(format(
        case when a.atttypid = 'bytea'::regtype then 'position(w.bytes in t.%I) > 0'
             else 'strpos(t.%I::text, w.word) > 0' end, a.attname), ' or ')) as search
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
 group by c.oid
 order by 1
"""

# The samples that the planner keeps of each column.
STATISTICS = """
select w.word, s.schemaname || '.' || s.tablename as name, count(*) as found
  from unnest($1::text[]) as w (word)
  join pg_stats s on strpos(s.most_common_vals::text, w.word) > 0
                  or strpos(s.histogram_bounds::text, w.word) > 0
 where s.schemaname !~ '^pg_' and s.schemaname <> 'information_schema'
 group by 1, 2
"""


class Trace(Struct, frozen=True, order=True):
    """Where a word was found: in so many rows of a table, or in a file."""

    place: str
    word: str
    found: int = 1


async def erased_traces(
    db: Queries, words: Iterable[str | UUID], files: Sequence[Path] = ()
) -> list[Trace]:
    """Return every place that still holds one of these words; none is what an erasure promises.

    Searched are all tables of all schemas, the statistics of the planner, and `files`: files and
    folders, PostgreSQL's own folder left out. A UUID is searched for in both of its spellings.
    """
    wanted = sorted({spelling for word in words for spelling in _spellings(word)})
    found = await _tables(db, wanted)
    rows = await db.fetch(STATISTICS, wanted)
    found += [Trace(f"pg_stats of {row['name']}", row["word"], row["found"]) for row in rows]
    found += await asyncio.to_thread(_files, wanted, files)
    return sorted(found)


async def _tables(db: Queries, words: Sequence[str]) -> list[Trace]:
    coded = [word.encode() for word in words]
    return [
        Trace(table["name"], row["word"], row["found"])
        for table in await db.fetch(TABLES)
        for row in await db.fetch(table["search"], words, coded)
    ]


def _spellings(word: str | UUID) -> tuple[str, ...]:
    """Return how a word may be written: JSON escapes quotes, and ids may come without dashes."""
    with suppress(ValueError):
        id_ = UUID(str(word))
        return str(id_), id_.hex
    text = str(word)
    return text, text.replace("\\", "\\\\").replace('"', '\\"')


def _files(words: Sequence[str], places: Sequence[Path]) -> list[Trace]:
    return [
        Trace(str(path), word)
        for path in _under(places)
        for word in words
        if _holds(path, word.encode())
    ]


def _under(places: Sequence[Path]) -> Iterator[Path]:
    """Yield files, and those below folders, but for what PostgreSQL writes."""
    for place in places:
        if place.is_file():
            yield place
        elif place.is_dir() and not (place / "PG_VERSION").exists():
            yield from _under([each for each in sorted(place.iterdir()) if not each.is_symlink()])


def _holds(path: Path, word: bytes) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0
