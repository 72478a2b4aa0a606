"""What is outside of the database hears everything since where it stands, or is filled again."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from nova.backbone.backbone import Backbone
from nova.backbone.external_projections import end_of
from nova.kernel.errors import Unavailable
from nova.kernel.events import Heard
from nova.ports.checkpoint import Checkpoint
from nova.ports.database import Pool
from support.facts import Left, Waved
from support.log import backbone
from support.waiting import until


class Lost(Unavailable):
    """It is away."""

    code = "lost"


class Album:
    """Something outside; it outlives the processes that keep it, as a server does."""

    def __init__(self) -> None:
        self.at: Checkpoint | None = None
        self.waves: list[int] = []
        self.fills = 0
        self.away = False

    async def checkpoint(self) -> Checkpoint | None:
        self._reach()
        return self.at

    async def fill(self, at: Checkpoint) -> None:
        self._reach()
        self.fills += 1
        self.waves.clear()
        self.at = at

    async def hear(self, heard: Sequence[Heard[Any]], *, after: Checkpoint, to: Checkpoint) -> None:
        self._reach()
        assert self.at == after
        self.waves += [each.fact.n for each in heard]
        self.at = to

    def _reach(self) -> None:
        if self.away:
            raise Lost


def kept(pool: Pool, album: Album, **knobs: Any) -> Backbone:
    nova = backbone(pool, **knobs)
    nova.project_outside("album", (Waved,), album)
    return nova


async def wave(nova: Backbone, *numbers: int) -> None:
    for n in numbers:
        async with nova.db.transaction() as tx:
            await tx.emit(Waved(who="ada", n=n), Left(who="ben"))


async def test_it_goes_on_from_where_it_stands(pool: Pool) -> None:
    album = Album()
    first = kept(pool, album)
    async with first.run():
        await until(lambda: album.fills == 1)
        await wave(first, 1, 2)
        await until(lambda: album.waves == [1, 2])
    await wave(first, 3)
    second = kept(pool, album)
    async with second.run():
        await wave(second, 4)
        await until(lambda: album.waves == [1, 2, 3, 4])
    assert album.fills == 1


async def test_it_hears_what_happened_while_it_was_away(pool: Pool) -> None:
    album = Album()
    nova = kept(pool, album)
    async with nova.run():
        await until(lambda: album.fills == 1)
        album.away = True
        await wave(nova, 1, 2)

        def lag() -> float:
            return next(each.lag_s for each in nova.statistics() if each.consumer == "album")

        await until(lambda: lag() > 0)
        album.away = False
        await until(lambda: album.waves == [1, 2])
        await until(lambda: lag() == 0)
    assert album.fills == 1


@pytest.mark.parametrize(
    "moved",
    [
        lambda place: replace(place, log="of another cluster"),
        lambda place: replace(place, at=place.at - timedelta(days=7)),
        lambda _place: None,
    ],
    ids=["another log", "older than the log", "nowhere"],
)
async def test_it_is_filled_where_the_log_does_not_reach(
    pool: Pool, moved: Callable[[Checkpoint], Checkpoint | None]
) -> None:
    album = Album()
    album.at = moved(await end_of(backbone(pool).log, [Waved]))
    nova = kept(pool, album, retention_days=7)
    async with nova.run():
        await until(lambda: album.fills == 1)
        await wave(nova, 1)
        await until(lambda: album.waves == [1])


async def test_two_processes_feed_it_in_turn(pool: Pool) -> None:
    album = Album()
    one, other = kept(pool, album), kept(pool, album)
    async with other.run():
        async with one.run():
            await until(lambda: album.fills == 1)
            await asyncio.gather(wave(one, 1, 2, 3), wave(other, 4, 5, 6))
            await until(lambda: sorted(album.waves) == [1, 2, 3, 4, 5, 6])
        await wave(other, 7)
        await until(lambda: sorted(album.waves) == [1, 2, 3, 4, 5, 6, 7])
    assert album.fills == 1


async def test_a_fact_that_cannot_be_read_keeps_nobody_waiting(pool: Pool) -> None:
    album = Album()
    album.at = await end_of(backbone(pool).log, [Waved])
    nova = kept(pool, album)
    await wave(nova, 1)
    await pool.run("update backbone.event_log set payload = '{' where type = 'Waved'")
    async with nova.run():
        await wave(nova, 2)
        await until(lambda: album.waves == [2])
    assert [each.dead_letters for each in nova.statistics()] == [1]
