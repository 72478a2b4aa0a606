"""Steps of walks along follows: pure but for the array that notes who was seen."""

import numpy as np
from numpy.typing import NDArray

from nova.adapters.local.rows import Cells, Rows

WIDEST = 1_000_000
"""Follows that one step of a search for a way looks at; of a wider one, the first so many."""

Numbers = NDArray[np.integer]
UNSEEN = -1


def top(found: Cells, scores: NDArray[np.float64], most: int) -> Cells:
    """Return those with the highest scores above zero, each once; the lower number first."""
    asked = 4 * most
    while True:
        if asked < len(found):
            some = scores.argpartition(len(scores) - asked)[len(scores) - asked :]
            some = some[scores[some] > 0.0]
        else:
            some = (scores > 0.0).nonzero()[0]
        # In the order of numbers, so that each can be told from the one before it.
        some = some[found[some].argsort()]
        numbers = found[some]
        fresh = numbers[1:] != numbers[:-1]
        if np.count_nonzero(fresh) + 1 >= most or asked >= len(found):
            some = np.concatenate((some[:1], some[1:][fresh]))
            return found[some[(-scores[some]).argsort(kind="stable")[:most]]]
        asked *= 8


def step(rows: Rows, people: Numbers, seen: NDArray[np.int32]) -> Numbers:
    """Return those one step on who were not seen before, each once, and note who led there."""
    if len(people) > 1 and rows.count[people].sum() > WIDEST:
        people = people[np.cumsum(rows.count[people]) <= WIDEST]
    found, counts = rows.newest(people)
    via = np.repeat(people, counts)
    new = seen[found] == UNSEEN
    found, via = found[new], via[new]
    seen[found] = via
    # Where several lead to somebody, the one that was noted last stands.
    reached: Numbers = found[seen[found] == via]
    return reached


def joined(ahead: NDArray[np.int32], back: NDArray[np.int32], met: int) -> list[int]:
    """Return the way through where the two searches met."""
    return [*_back_to(ahead, met)[::-1], *_back_to(back, met)[1:]]


def _back_to(via: NDArray[np.int32], number: int) -> list[int]:
    """Return the way from a person to where the search began."""
    way = [number]
    while (before := int(via[way[-1]])) != way[-1]:
        way.append(before)
    return way
