"""A follow graph with the shape of real ones, from a seed: no public data set may be shipped."""

from array import array
from collections.abc import Iterator
from random import Random

# Out-degrees are Pareto-distributed with a median of 13 and a mean of 20; who is followed is
# drawn so that the most followed one of a million people has about 57,000 followers.
LEAST_FOLLOWED, SHAPE, MOST_FOLLOWED = 8.84, 1.8, 10_000
SKEW = 2.36


def follows(people: int, seed: int = 1) -> Iterator[tuple[int, "array[int]"]]:
    """Yield each person, counting from 1, with whom they follow."""
    random = Random(seed)  # noqa: S311  # a graph that anybody can make again, not a secret
    draw, pareto = random.random, random.paretovariate
    names = list(range(1, people + 1))
    random.shuffle(names)  # the most followed are not the first ones
    for person in range(1, people + 1):
        degree = min(MOST_FOLLOWED, people // 2, int(LEAST_FOLLOWED * pareto(SHAPE)))
        followed = {names[int(people * draw() ** SKEW)] for _ in range(degree)}
        followed.discard(person)
        yield person, array("I", followed)
