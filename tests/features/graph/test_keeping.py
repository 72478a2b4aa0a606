"""The index over restarts: what was kept is used when the log tells the rest, and only then."""

from array import array
from pathlib import Path

import pytest

from nova.adapters.local.graph import LocalGraph
from nova.adapters.local.graph_file import HEADER, GraphFile
from nova.features.graph import Feed, Keeper
from nova.kernel.clock import SystemClock
from nova.kernel.events import Partition, Position
from support.connected import Connected
from support.deployment import deployed
from support.waiting import until

THERE = {Partition("graph", 3): Position("7/8")}

WRONG = array("I", [2, 3]).tobytes()
"""Follows that were never there: who has them took over the file."""
SIZES = (-1, 0, 2**40, 2**62)


def keeping(here: Connected, index: LocalGraph, folder: Path, *, log_days: int = 7) -> Keeper:
    db = here.world.db
    shelf = GraphFile(index, folder / "graph.index")
    return Keeper(db, SystemClock(), Feed(db, index), shelf, log_days=log_days)


async def kept(here: Connected, folder: Path, *, log_days: int = 7) -> None:
    """Keep an index that can be told from the truth."""
    index = LocalGraph()
    await index.fill(1, WRONG, 0)
    await keeping(here, index, folder, log_days=log_days).keep(THERE)


async def test_what_was_kept_is_gone_on_from(here: Connected, tmp_path: Path) -> None:
    await kept(here, tmp_path)
    index = LocalGraph()
    assert await keeping(here, index, tmp_path).begin() == THERE
    assert index.edges == 2


@pytest.mark.parametrize("why", ["nothing", "another database", "restored", "old log", "import"])
async def test_the_truth_is_read_where_the_log_would_not_tell_the_rest(
    here: Connected, tmp_path: Path, why: str
) -> None:
    await here.follow("ada", "ben")
    pool = here.world.pool
    if why != "nothing":
        await kept(here, tmp_path)
    match why:
        case "another database":
            await pool.run("truncate graph.kept")
        case "restored":
            await pool.run("update graph.kept set at = at")  # as a dump would write it again
        case "old log":
            await pool.run("update graph.kept set at = at - interval '4 days'")
        case "import":
            await pool.run("""
                insert into graph.imports (file, name, position, line, added, known, refused,
                    started_at, changed_at) values ('', '', 1, 1, 1, 0, 0, now(), now())""")
    index = LocalGraph()
    assert await keeping(here, index, tmp_path).begin() is None
    assert index.edges == 1


async def test_a_server_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben, cleo, dora = await app.people(4)

        async def follow(one: str, other: str) -> None:
            async with (await deployment.app()).client(one) as client:
                answer = await client.put(f"/v1/users/me/following/{other}")
                answer.raise_for_status()

        async def suggested() -> set[str]:
            async with (await deployment.app()).client(ada) as client:
                answer = await client.get("/v1/users/me/suggestions")
            answer.raise_for_status()
            data = answer.json()["data"]
            return {each["person"]["external_id"] for each in data if each["score"]}

        async def found(*names: str) -> bool:
            return await suggested() == set(names)

        await follow(ada, ben)
        await follow(ben, cleo)
        await until(lambda: found(cleo))
        await deployment.end()
        assert (deployment.data / "graph.index").stat().st_mode & 0o777 == 0o600
        await deployment.start()
        await until(lambda: found(cleo))
        await follow(ben, dora)
        await until(lambda: found(cleo, dora))
        # Killed, it keeps nothing: the older file and the log tell the same.
        await deployment.strike()
        await deployment.gone()
        await deployment.start()
        await until(lambda: found(cleo, dora))
        assert deployment.output.count(b"graph_index_loaded") == 2


async def test_a_damaged_file_is_as_good_as_none(here: Connected, tmp_path: Path) -> None:
    """Every byte of the header once, and the ways a disk loses an end."""
    await here.follow("ada", "ben")
    await kept(here, tmp_path)
    file = tmp_path / "graph.index"
    good = file.read_bytes()
    header = len(good[:HEADER].rstrip(b" \0"))
    damaged = [good[:at] + bytes([good[at] ^ 0x98]) + good[at + 1 :] for at in range(header)]
    damaged += [good[:0], good[:100], good[:HEADER], good[:-1], good + b"more"]
    damaged += [good.replace(b'"numbers":[2,2]', b'"numbers":[%d,2]' % size) for size in SIZES]
    for each in damaged:
        file.write_bytes(each)
        index = LocalGraph()
        await keeping(here, index, tmp_path).begin()
        assert index.edges in (1, 2)  # the truth, or where the mark was spared, what was kept
