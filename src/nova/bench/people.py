"""A follow graph with the shape of real ones, from a seed: no public data set may be shipped."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

# Out-degrees are Pareto-distributed with a median of 13 and a mean of 20; who is followed is
# drawn so that the most followed one of a million people has about 57,000 followers.
LEAST_FOLLOWED, SHAPE, MOST_FOLLOWED = 9.2, 1.8, 10_000
SKEW = 2.36


class Follows(Struct, frozen=True):
    """Who follows whom: the followees of each person in turn; people count from 1."""

    counts: NDArray[np.int64]
    followees: NDArray[np.uint32]

    @property
    def people(self) -> int:
        return len(self.counts)

    def rows(self) -> list[NDArray[np.uint32]]:
        """Return whom each person follows."""
        return np.split(self.followees, np.cumsum(self.counts)[:-1])

    def followers(self) -> NDArray[np.int64]:
        """Return how many follow each person; nobody is number 0."""
        return np.bincount(self.followees, minlength=self.people + 1)


def follows(people: int, seed: int = 1) -> Follows:
    """Return the graph of so many people, always the same for a seed."""
    random = np.random.default_rng(seed)
    drawn = LEAST_FOLLOWED * (random.pareto(SHAPE, people) + 1.0)
    degrees = np.minimum(drawn, min(MOST_FOLLOWED, people // 2)).astype(np.int64)
    names = random.permutation(people) + 1  # the most followed are not the first ones
    followees = names[(people * random.random(degrees.sum()) ** SKEW).astype(np.int64)]
    followers = np.repeat(np.arange(1, people + 1), degrees)
    pairs = (followers << 32 | followees)[followers != followees]
    pairs.sort()
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return Follows(
        np.bincount(pairs >> 32, minlength=people + 1)[1:],
        (pairs & 0xFFFFFFFF).astype(np.uint32),
    )
