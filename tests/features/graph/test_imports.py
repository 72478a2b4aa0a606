"""Files of edges: quick, exact, and never half done without saying so."""

import json
from pathlib import Path

import pytest

from nova.features.graph import EdgeImport
from nova.features.graph.imports import Problems
from nova.features.graph.store_imports import Progress
from nova.kernel.clock import SystemClock
from support.connected import Connected


class CutOff(Exception):
    """The process was killed here."""


class Told:
    """Keeps what an import tells; raises after the stretch `cut`, if there is one."""

    def __init__(self, cut: int | None = None) -> None:
        self.problems: dict[int, str] = {}
        self.stretches = 0
        self._cut = cut

    def __call__(self, _at: Progress, problems: Problems) -> None:
        self.problems |= dict(problems)
        self.stretches += 1
        if self.stretches == self._cut:
            raise CutOff


def importing(here: Connected, stretch: int = 1 << 20) -> EdgeImport:
    return EdgeImport(here.world.db, SystemClock(), here.world.people, stretch=stretch)


def json_lines(path: Path, *edges: tuple[str, str]) -> Path:
    lines = (json.dumps({"follower": one, "followee": other}) for one, other in edges)
    path.write_text("\n".join(lines))
    return path


async def test_edges_are_imported_counted_and_served(here: Connected, tmp_path: Path) -> None:
    file = json_lines(
        tmp_path / "edges.jsonl", ("ada", "ben"), ("ben", "cleo"), ("ada", "ben"), ("ben", "dora")
    )
    await here.follow("ben", "dora")
    told = Told()
    done = await importing(here).run(file, told)
    assert (done.added, done.known, done.refused, done.line) == (2, 2, 0, 4)
    assert await here.counts("ben") == (1, 2)
    assert await here.names("ada", "me/following") == ["ben"]
    await here.settled("ada", "cleo", "dora")


@pytest.mark.parametrize("stretch", [1, 60, 1 << 20])
async def test_broken_lines_are_named_and_the_others_imported(
    here: Connected, tmp_path: Path, stretch: int
) -> None:
    await here.ask("dora", "PUT", "me/blocks/ada")
    file = tmp_path / "edges.jsonl"
    file.write_text(
        '{"follower": "ada", "followee": "ben"}\n'
        "not JSON\n"
        "\n"
        '{"follower": "ada", "followee": "nobody"}\n'
        '{"follower": "ada", "followee": "ada"}\n'
        '{"follower": "ada", "followee": "dora"}\n'
        '{"follower": "ada"}\n'
        f'{{"follower": "cleo", "followee": "{here.world.ids["ben"]}"}}'
    )
    told = Told()
    done = await importing(here, stretch).run(file, told)
    assert (done.added, done.refused, done.line) == (2, 5, 8)
    assert sorted(told.problems) == [2, 4, 5, 6, 7]
    assert "nobody" in told.problems[4]
    assert await here.counts("ben") == (2, 0)
    assert await here.counts("ada") == (0, 1)


async def test_comma_separated_edges_are_imported(here: Connected, tmp_path: Path) -> None:
    file = tmp_path / "edges.csv"
    file.write_text('follower,followee\nada,ben\n"cleo", ben\nada\nada,"x\n')
    told = Told()
    done = await importing(here).run(file, told)
    assert (done.added, sorted(told.problems)) == (2, [4, 5])


async def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    here: Connected, tmp_path: Path
) -> None:
    names = [f"fan{number}" for number in range(40)]
    await here.world.meet(*names)
    file = json_lines(tmp_path / "edges.jsonl", *((name, "ben") for name in names))
    with pytest.raises(CutOff):
        await importing(here, 100).run(file, Told(cut=3))
    before, _ = await here.counts("ben")
    assert 0 < before < 40
    rest = Told()
    done = await importing(here, 100).run(file, rest)
    assert (done.added, done.known) == (40, 0)
    assert await here.counts("ben") == (40, 0)
    again = Told()
    assert await importing(here).run(file, again) == done
    assert again.stretches == 0


@pytest.mark.parametrize("stretch", [1_000, 10_000_000])
async def test_a_line_that_is_far_too_long_is_refused_alone(
    here: Connected, tmp_path: Path, stretch: int
) -> None:
    file = json_lines(tmp_path / "edges.jsonl", ("ada", "ben"))
    good = file.read_bytes().strip()
    file.write_bytes(b"\n".join([good, b"x" * 100_000, good.replace(b"ben", b"cleo"), b"\xff"]))
    told = Told()
    done = await importing(here, stretch).run(file, told)
    assert (done.added, done.refused, done.line) == (2, 2, 4)
    assert sorted(told.problems) == [2, 4]


async def test_who_is_erased_during_an_import_gets_no_edges(
    here: Connected, tmp_path: Path
) -> None:
    edges, told = importing(here), Told()
    await edges.run(json_lines(tmp_path / "before.jsonl", ("ada", "ben")), Told())
    async with here.world.db.transaction() as tx:
        await here.world.graph.erase(tx, here.world.ids["ben"])
    # Its remembered number is that of nobody now.
    file = json_lines(tmp_path / "after.jsonl", ("ben", "ada"), ("ada", "cleo"), ("ada", "ben"))
    done = await edges.run(file, told)
    assert (done.added, done.refused, sorted(told.problems)) == (1, 2, [1, 3])
    assert "erased" in told.problems[3]
    assert await here.counts("ada") == (0, 1)


async def test_an_imported_follow_answers_the_request(here: Connected, tmp_path: Path) -> None:
    await here.ask("ben", "PUT", "me/privacy", json={"private": True})
    await here.follow("ada", "ben")
    await here.follow("cleo", "ben")
    await importing(here).run(json_lines(tmp_path / "edges.jsonl", ("ada", "ben")), Told())
    assert await here.names("ben", "me/followers") == ["ada"]
    assert await here.names("ben", "me/follow-requests") == ["cleo"]


async def test_a_file_is_another_when_a_line_far_down_was_mended(
    here: Connected, tmp_path: Path
) -> None:
    """Of the same size, and with the same first megabytes."""
    many = [("ada", "cleo")] * 30_000
    edges, told = importing(here), Told()
    await edges.run(json_lines(tmp_path / "edges.jsonl", *many, ("ada", "bem")), told)
    assert list(told.problems) == [30_001]
    await edges.run(json_lines(tmp_path / "edges.jsonl", *many, ("ada", "ben")), Told())
    assert await here.counts("ben") == (1, 0)


async def test_a_finished_file_is_read_again_only_when_asked_to(
    here: Connected, tmp_path: Path
) -> None:
    file = json_lines(tmp_path / "edges.jsonl", ("ada", "ben"), ("ada", "late"))
    first = await importing(here).run(file, Told())
    assert (first.added, first.refused) == (1, 1)
    await here.world.meet("Late")
    assert await importing(here).run(file, Told()) == first
    again = await importing(here).run(file, Told(), again=True)
    assert (again.added, again.known, again.refused) == (1, 1, 0)
