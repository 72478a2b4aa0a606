"""The newest posts of authors in memory: which ones make up a page of a feed, found in a moment."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import nlargest
from uuid import UUID

from nova.features.posts.models import Candidate

WIDTH = 16
"""Bytes of an id; ids in a ring stand side by side, the newest first."""
EACH = 20
"""Ids of one author, at most."""
SPARE = 8
"""Authors are forgotten when there is an eighth too many."""


class Rings:
    """Knows when it does not know: it answers with whole pages or with none.

    An author of 20 posts takes about 500 bytes.
    """

    def __init__(self, authors: int = 100_000) -> None:
        """Keeps about `authors`; beyond, those who posted longest ago are forgotten."""
        self._most = authors
        self._rings: dict[UUID, bytes] = {}
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
        old = self._rings.get(author, b"")
        newer = [each for each in _split(old) if each > newest]
        self._put(author, b"".join(newer) + ids, whole=whole and len(posts) <= EACH)

    def add(self, author: UUID, post: UUID) -> None:
        """Add a post; the same one twice does no harm."""
        ring, id_ = self._rings.get(author), post.bytes
        if ring is None:
            self._put(author, id_, whole=not self._forgotten)
            return
        ids = _split(ring)
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
        rings, end = self._rings, before.bytes
        heads: list[tuple[bytes, int, UUID]] = []
        for author in authors:
            ring = rings.get(author)
            if ring is None:
                continue
            head, at = ring[:WIDTH], 0
            if head >= end:
                at = _below(ring, end)
                head = ring[at : at + WIDTH]
                if not head:
                    if author in self._cut:
                        return None
                    continue
            heads.append((head, at, author))
        best = nlargest(most, heads) if len(heads) > most else heads
        found = [
            (rings[author][at : at + WIDTH], author)
            for _, start, author in best
            for at in range(start, len(rings[author]), WIDTH)
        ]
        found.sort(key=_id, reverse=True)
        last = found[most - 1][0] if len(found) >= most else b""
        if last < self._forgotten or any(
            author in self._cut and rings[author][-WIDTH:] > last for _, _, author in best
        ):
            return None
        return [Candidate(UUID(bytes=id_), author) for id_, author in found[:most]]

    def _put(self, author: UUID, ids: bytes, *, whole: bool) -> None:
        if not whole or len(ids) > EACH * WIDTH:
            self._cut.add(author)
        else:
            self._cut.discard(author)
        self._rings[author] = ids[: EACH * WIDTH]
        if len(self._rings) > self._most + self._most // SPARE:
            self._trim()

    def _trim(self) -> None:
        """Forget those who posted longest ago."""
        by_age = sorted(self._rings, key=lambda author: self._rings[author][:WIDTH])
        gone = by_age[: len(by_age) - self._most]
        self._forgotten = max(self._forgotten, self._rings[gone[-1]][:WIDTH])
        for author in gone:
            self.forget(author)


def _id(found: tuple[bytes, UUID]) -> bytes:
    return found[0]


def _split(ring: bytes) -> list[bytes]:
    return [ring[at : at + WIDTH] for at in range(0, len(ring), WIDTH)]


def _below(ring: bytes, end: bytes) -> int:
    """Return where in a ring the first id before `end` stands."""
    ids = _split(ring)[::-1]
    return (len(ids) - bisect_left(ids, end)) * WIDTH
