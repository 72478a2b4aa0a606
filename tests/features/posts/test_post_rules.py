"""Feeds from memory: neither skipped nor repeated."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from nova.features.posts.models import Candidate
from nova.features.posts.rings import EACH, Rings
from nova.features.posts.service import NEWEST
from nova.features.posts.views import page

AUTHORS = [UUID(int=number) for number in range(1, 5)]
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(AUTHORS)),
        st.tuples(st.just("delete"), st.sampled_from(AUTHORS)),
        st.tuples(st.just("page"), st.none()),
    ),
    max_size=120,
)


class Books:
    """The truth, and rings that are told of it."""

    def __init__(self, most: int) -> None:
        self.rings = Rings(most)
        self.posts: dict[int, UUID] = {}
        self.next = 1
        self.from_rings = 0

    def publish(self, author: UUID) -> None:
        self.posts[self.next] = author
        self.rings.add(author, UUID(int=self.next))
        self.next += 1

    def delete(self, author: UUID) -> None:
        mine = [id_ for id_, by in self.posts.items() if by == author]
        if mine:
            del self.posts[mine[-1]]
            left = [UUID(int=each) for each in sorted(mine[:-1], reverse=True)]
            self.rings.fill(author, left[: EACH + 1], whole=len(left) <= EACH)

    async def read(self, before: UUID, most: int) -> list[Candidate]:
        ids = sorted((each for each in self.posts if each < before.int), reverse=True)
        truth = [Candidate(UUID(int=each), self.posts[each]) for each in ids[:most]]
        found = self.rings.newest(AUTHORS, before, most)
        if found is None:
            return truth
        self.from_rings += 1
        # Rings may still name what is gone; of what is there they leave nothing out.
        there = await self.keep(found)
        assert there == truth[: len(there)]
        assert len(found) == most or there == truth
        return found

    async def keep(self, some: Sequence[Candidate]) -> list[Candidate]:
        return [each for each in some if each.id.int in self.posts]


@given(ACTS, ACTS, st.integers(1, 6), st.sampled_from([2, 100]))
def test_a_feed_neither_skips_nor_repeats_while_posts_come_and_go(
    before: list[tuple[str, UUID | None]],
    meanwhile: list[tuple[str, UUID | None]],
    limit: int,
    most_authors: int,
) -> None:
    books = Books(most_authors)
    for act, author in before:
        if author is not None:
            getattr(books, act)(author)
    there = set(books.posts)
    read: list[int] = []
    place: UUID | None = NEWEST
    acts = iter([*meanwhile, *[("page", None)] * 500])
    while place is not None:
        act, author = next(acts)
        if author is not None:
            getattr(books, act)(author)
            continue
        found, place = asyncio.run(page(books.read, books.keep, place, limit))
        assert len(found) <= limit
        read += [each.id.int for each in found]
    assert read == sorted(set(read), reverse=True)
    # Whatever was there at the beginning and is there now was read, and nothing that was gone.
    assert there & set(books.posts) <= set(read)


def test_rings_answer_without_the_truth_while_they_know_enough() -> None:
    books = Books(100)
    for number in range(100):
        books.publish(AUTHORS[number % 4])
    assert books.rings.newest(AUTHORS, NEWEST, 50) is not None
    assert books.rings.newest(AUTHORS, UUID(int=21), 10) is None
    assert books.rings.newest([AUTHORS[0]], NEWEST, 20) is not None
    assert books.rings.newest([AUTHORS[0]], NEWEST, 21) is None
    assert books.rings.newest([UUID(int=99)], NEWEST, 20) == []
