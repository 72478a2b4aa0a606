"""The newest posts of authors in memory: which ones make up a page of a feed, found in a moment."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from uuid import UUID

from nova.features.posts.models import Candidate

WIDTH = 16
"""Bytes of an id; ids in a ring stand side by side, the newest first."""
EACH = 20
"""Ids of one author, at most."""
NO_END = b"\xff" * WIDTH
SPARE = 8
"""Authors are forgotten when there is an eighth too many."""

Ring = tuple[bytes, UUID, bytes]
"""The newest id, whose it is, and all ids."""


class Rings:
    """Knows when it does not know: it answers with whole pages or with none.

    An author of 20 posts takes about 500 bytes.
    """

    def __init__(self, authors: int = 100_000) -> None:
        """Keeps about `authors`; beyond, those who posted longest ago are forgotten."""
        self._most = authors
        self._rings: dict[UUID, Ring] = {}
        self._cut: set[UUID] = set()
        """Who has older posts than the ring's."""
        self._forgotten = b""
        """No forgotten author has a newer post than this."""

    def __len__(self) -> int:
        return len(self._rings)

    def fill(self, author: UUID, posts: Sequence[UUID], *, whole: bool) -> None:
        """Say what an author's newest posts are, the newest first, and whether they are all.

        What came in meanwhile and is newer stays.
        """
        if not posts:
            self.forget(author)
            return
        ids = b"".join(post.bytes for post in posts[:EACH])
        newest = ids[:WIDTH]
        old = self._rings.get(author)
        newer = [each for each in _split(old[2]) if each > newest] if old else []
        self._put(author, b"".join(newer) + ids, whole=whole and len(posts) <= EACH)

    def add(self, author: UUID, post: UUID) -> None:
        """Add a post; the same one twice does no harm."""
        ring, id_ = self._rings.get(author), post.bytes
        if ring is None:
            self._put(author, id_, whole=not self._forgotten)
            return
        ids = _split(ring[2])
        whole = author not in self._cut
        if id_ in ids or (not whole and id_ < ids[-1]):
            return
        self._put(author, b"".join(sorted([*ids, id_], reverse=True)), whole=whole)

    def forget(self, author: UUID) -> None:
        """The author has no posts any more."""
        self._rings.pop(author, None)
        self._cut.discard(author)

    def leave_out(self, newest: UUID) -> None:
        """Say that there are authors who are not told of, with posts up to this one."""
        self._forgotten = max(self._forgotten, newest.bytes)

    def newest(self, authors: Iterable[UUID], before: UUID, most: int) -> list[Candidate] | None:
        """Return the newest posts of these authors before one; None: ask the truth.

        Only authors whose newest post is among the `most` newest of these can be on the page.
        """
        get, end = self._rings.get, before.bytes
        heads: list[Ring] = [ring for author in authors if (ring := get(author)) is not None]
        if end != NO_END:
            heads = [_from(ring, end) if ring[0] >= end else ring for ring in heads]
            if any(not head and author in self._cut for head, author, _ in heads):
                return None
            heads = [ring for ring in heads if ring[0]]
        best = nlargest(most, heads)
        floor = best[-1][0] if len(best) == most else b""
        found = sorted(_down_to(best, floor), reverse=True)
        last = found[most - 1][0] if len(found) >= most else b""
        if last < self._forgotten or any(
            author in self._cut and ids[-WIDTH:] > last for _, author, ids in best
        ):
            return None
        return [Candidate(UUID(bytes=id_), author) for id_, author in found[:most]]

    def _put(self, author: UUID, ids: bytes, *, whole: bool) -> None:
        if not whole or len(ids) > EACH * WIDTH:
            self._cut.add(author)
        else:
            self._cut.discard(author)
        self._rings[author] = (ids[:WIDTH], author, ids[: EACH * WIDTH])
        if len(self._rings) > self._most + self._most // SPARE:
            self._trim()

    def _trim(self) -> None:
        """Forget those who posted longest ago."""
        by_age = sorted(self._rings.values())
        gone = by_age[: len(by_age) - self._most]
        self._forgotten = max(self._forgotten, gone[-1][0])
        for _, author, _ in gone:
            self.forget(author)


def _split(ring: bytes) -> list[bytes]:
    return [ring[at : at + WIDTH] for at in range(0, len(ring), WIDTH)]


def _from(ring: Ring, end: bytes) -> Ring:
    """Return what of a ring is before `end`, perhaps nothing."""
    _, author, ids = ring
    known = _split(ids)[::-1]
    rest = ids[(len(known) - bisect_left(known, end)) * WIDTH :]
    return rest[:WIDTH], author, rest


def _down_to(rings: Iterable[Ring], floor: bytes) -> Iterator[tuple[bytes, UUID]]:
    """Yield every id that is not below `floor`, with its author."""
    for _, author, ids in rings:
        for at in range(0, len(ids), WIDTH):
            id_ = ids[at : at + WIDTH]
            if id_ < floor:
                break
            yield id_, author
