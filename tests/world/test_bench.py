"""`nova bench`, run small: every figure that is published comes out of it."""

import asyncio
import os
import random
import sys
from pathlib import Path
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from nova.bench import kills, ranking
from nova.bench.people import follows

FIGURES = {
    "fof_p50_ms",
    "fof_p95_ms",
    "fof_per_s_per_core",
    "mutuals_p95_ms",
    "common_p95_ms",
    "path_p95_ms",
    "visible_ms",
    "memory_mb",
    "load_s",
    "follows_per_s",
    "unfollows_per_s",
    "import_edges_per_s",
}
CIRCLES, MEMBERS = 30, 25
CHANCE = 20 / (CIRCLES * MEMBERS)
"""Of a hidden friend being among twenty people drawn by lot."""


async def bench(folder: Path, *arguments: str) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nova", "bench", *arguments),
        cwd=folder,
        env={name: os.environ.get(name, "") for name in ("PATH", "PYTHONPATH")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    return process.returncode or 0, said, complained


@pytest.fixture
def circles(tmp_path: Path) -> Path:
    """People who mostly know those of their own circle."""
    draw = random.Random(3)  # noqa: S311  # friends, not secrets
    edges = set()
    for circle in range(CIRCLES):
        own = range(circle * MEMBERS, (circle + 1) * MEMBERS)
        for one in own:
            edges |= {(one, other) for other in own if one < other and draw.random() < 0.5}
            edges.add((one, draw.randrange(CIRCLES * MEMBERS)))
    file = tmp_path / "edges.txt"
    file.write_text("# friends\n" + "".join(f"{one} {other}\n" for one, other in sorted(edges)))
    return file


async def test_a_quick_look_yields_every_figure(tmp_path: Path) -> None:
    status, said, complained = await bench(tmp_path, "graph", "--quick", "--json")
    assert status == 0, complained.decode()
    figures = msgspec.json.decode(said)
    assert set(figures) >= FIGURES
    assert all(figures[name] > 0 for name in FIGURES)


async def test_hidden_friends_are_found_again(tmp_path: Path, circles: Path) -> None:
    status, said, complained = await bench(tmp_path, "graph", "--edges", str(circles), "--json")
    assert status == 0, complained.decode()
    figures = msgspec.json.decode(said)
    assert set(figures) == {"recall_at_20", "ndcg_at_10"}
    assert figures["recall_at_20"] > 10 * CHANCE
    assert figures["ndcg_at_10"] > 10 * CHANCE
    assert figures == await ranking.measure(circles)  # what is hidden is the same every time


@pytest.mark.parametrize("content", ["", "1 2\nthree\n", "# nothing\n", "1 1\n"])
async def test_a_file_without_friendships_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "edges.txt").write_text(content)
    status, said, complained = await bench(tmp_path, "graph", "--edges", "edges.txt")
    assert (status, said) == (2, b"")
    assert complained.startswith(b"nova: --edges: ")
    assert b"Traceback" not in complained


async def test_a_killed_server_is_started_again_and_held_against_the_providers_book() -> None:
    figures = await kills.run(kills.Plan(kills=1, events=3), lambda _: None)
    assert figures["kills"] == 1
    assert figures["lost"] == figures["duplicated_known_outcome"] == 0


def test_the_book_tells_what_was_lost_and_what_came_twice() -> None:
    fine, resent, twice, other = (uuid4() for _ in range(4))
    ledger = {
        fine: kills.Entry("fine", 0),
        resent: kills.Entry("resent", 1),
        twice: kills.Entry("twice", 0),
        other: kills.Entry("other", 1),
    }
    arrived = {fine: ["a"], resent: ["b", "b"], twice: ["c", "c", "c"], other: ["d", "e"]}
    assert kills.judged({"fine", "resent", "gone"}, ledger, arrived) == {
        "accepted": 3,
        "lost": 1,
        "duplicated_known_outcome": 2,
        "duplicated_unknown_outcome": 2,
        "collapse_ids_changed": 1,
    }


def test_what_ranking_is_worth_is_known_by_hand() -> None:
    assert ranking.recall([1, 2, 3], {1, 3, 9}) == pytest.approx(2 / 3)
    assert ranking.gain([1, 2], {1}) == pytest.approx(1)
    assert ranking.gain([2, 1], {1}) == pytest.approx(1 / np.log2(3))
    assert ranking.gain([2], {1}) == 0


def test_edge_lists_of_any_shape_are_read_alike(tmp_path: Path) -> None:
    for content in (
        "ada ben\nben ada\nben cleo 3\n",
        "ada,ben\nben,cleo\nben,ben\n",
        "a\tb\r\nb;c",
    ):
        (tmp_path / "edges").write_text(content)
        assert ranking.read(tmp_path / "edges").tolist() == [[1, 2], [2, 3]]


def test_the_generated_graph_is_the_same_each_time_and_has_hubs() -> None:
    graph = follows(20_000)
    again = follows(20_000)
    assert (graph.followees == again.followees).all()
    assert (follows(20_000, seed=2).followees[:100] != graph.followees[:100]).any()
    assert 18 < len(graph.followees) / graph.people < 22
    assert 10 < np.median(graph.counts) < 15
    assert graph.counts.max() > 500
    assert graph.followers().max() > 3_000
    for number, row in enumerate(graph.rows()[:500], 1):
        assert number not in row
        assert len(set(row.tolist())) == len(row)
