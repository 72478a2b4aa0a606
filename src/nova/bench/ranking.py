"""How good suggestions are: a fifth of a graph's edges is hidden, and looked for again."""

import re
from collections.abc import Mapping
from math import log2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nova.adapters.local.graph import LocalGraph
from nova.bench.graph_index import fill

SEED = 1
HIDDEN = 0.2
RECALL_AT, NDCG_AT = 20, 10
NAME = re.compile(r"[^\s,;]+")
COMMENTS = ("#", "%")


class BadEdges(Exception):
    """A line of an edge list does not name two nodes."""


def read(file: Path) -> NDArray[np.int64]:
    """Read friendships, a line each, `one other` apart by blanks or a comma; each is kept once.

    Nodes are numbered from 1. Lines that begin with # or % are comments. Raises BadEdges.
    """
    numbers: dict[str, int] = {}
    pairs = []
    for count, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(COMMENTS):
            continue
        names = NAME.findall(line)
        if len(names) < 2:  # noqa: PLR2004  # two ends; what follows them is a weight or a time
            raise BadEdges(f"{file}, line {count}: expected two nodes, found {line[:80]!r}")
        one, other = (numbers.setdefault(name, len(numbers) + 1) for name in names[:2])
        if one != other:
            pairs.append((min(one, other), max(one, other)))
    return np.array(sorted(set(pairs)), np.int64).reshape(-1, 2)


async def measure(file: Path) -> dict[str, float]:
    """Hide a fifth of the friendships, and see how many of them are suggested to both friends."""
    pairs = read(file)
    order = np.random.default_rng(SEED).permutation(len(pairs))
    cut = int(HIDDEN * len(pairs))
    if not cut:
        raise BadEdges(f"{file}: there are too few friendships to hide any")
    return await _scores(pairs[order[cut:]], pairs[order[:cut]], int(pairs.max()))


async def _scores(
    known: NDArray[np.int64], hidden: NDArray[np.int64], people: int
) -> dict[str, float]:
    index = LocalGraph()
    friends = _friends(known)
    nobody: NDArray[np.uint32] = np.empty(0, np.uint32)
    await fill(index, [friends.get(number, nobody) for number in range(1, people + 1)])
    recalls, gains = [], []
    for number, wanted in _friends(hidden).items():
        found = [each.number for each in await index.suggest(number, hidden=(), most=RECALL_AT)]
        recalls.append(recall(found, set(wanted.tolist())))
        gains.append(gain(found, set(wanted.tolist())))
    return {"recall_at_20": float(np.mean(recalls)), "ndcg_at_10": float(np.mean(gains))}


def recall(found: list[int], wanted: set[int]) -> float:
    """Return the share of those wanted who were found, or of as many as could be."""
    return sum(each in wanted for each in found) / min(RECALL_AT, len(wanted))


def gain(found: list[int], wanted: set[int]) -> float:
    """Return the normalised discounted cumulative gain of the first ten."""
    got = sum(1 / log2(place + 2) for place, one in enumerate(found[:NDCG_AT]) if one in wanted)
    return got / sum(1 / log2(place + 2) for place in range(min(NDCG_AT, len(wanted))))


def _friends(pairs: NDArray[np.int64]) -> Mapping[int, NDArray[np.uint32]]:
    """Return the friends of each person who has any."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    people, first = np.unique(both[:, 0], return_index=True)
    rows = np.split(both[:, 1].astype(np.uint32), first[1:])
    return dict(zip(people.tolist(), rows, strict=True))
