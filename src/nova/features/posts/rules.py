"""What may be seen, and what is in a text: pure decisions."""

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from nova.features.posts import mentions_and_hashtags
from nova.features.posts.models import Media, Visibility
from nova.kernel.bidi import undirected
from nova.kernel.errors import Forbidden, Invalid, InvalidField, NotFound
from nova.kernel.text import shortened
from nova.kernel.urls import url_problem

EXCERPT = 140
"""Characters of a text that a notification shows."""


EVERYBODY = frozenset(Visibility)
NOBODY: frozenset[Visibility] = frozenset()


class NoSuchPost(NotFound):
    """There is no such post, or you may not see it."""

    code = "no_such_post"


class NoSuchComment(NotFound):
    """There is no such comment, or you may not see it."""

    code = "no_such_comment"


class NoSuchTag(NotFound):
    """A hashtag has 1 to 64 letters, marks, digits and underscores, and not digits alone."""

    code = "no_such_tag"


class EmptyPost(Invalid):
    """A post has text, media, or both."""

    code = "empty_post"


class NotYours(Forbidden):
    """A user token may act and read for its own user only."""

    code = "not_yours"
    hint = "Leave ?user= out."


class WhoActs(Invalid):
    """With a server key, the request has to name the user."""

    code = "who_acts"
    hint = "Add ?user=<either id of the user>."


class Sight(Protocol):
    """What lies between somebody who looks and somebody who is looked at."""

    @property
    def follows(self) -> bool: ...
    @property
    def close_friend(self) -> bool:
        """Whether the one who is looked at counts the other among the close friends."""

    @property
    def separated(self) -> bool:
        """Whether a block stands between them, of either side."""

    @property
    def muted(self) -> bool: ...
    @property
    def private(self) -> bool: ...


def open_to(sight: Sight) -> frozenset[Visibility]:
    """Return which of an author's posts somebody else may see."""
    if sight.separated:
        return NOBODY
    seen = set()
    if sight.follows:
        seen = {Visibility.PUBLIC, Visibility.FOLLOWERS}
    elif not sight.private:
        seen = {Visibility.PUBLIC}
    if sight.close_friend:
        seen.add(Visibility.CLOSE_FRIENDS)
    return frozenset(seen)


def in_feed(visibility: Visibility, sight: Sight) -> bool:
    """Whether a post of somebody else belongs in a home feed."""
    return sight.follows and not sight.muted and visibility in open_to(sight)


def in_lists(sight: Sight) -> bool:
    """Whether a person shows up where many do: among comments and likes."""
    return not (sight.separated or sight.muted)


def tag(name: str) -> str:
    """Return a hashtag as it is kept, from its name. Raises NoSuchTag for what can be none."""
    kept = mentions_and_hashtags.tag(name)
    if kept is None:
        raise NoSuchTag
    return kept


def excerpt(text: str) -> str:
    """Return the beginning of a text, on one line."""
    return shortened(undirected(" ".join(text.split(None, EXCERPT))), EXCERPT)


def check(text: str, media: Sequence[Media]) -> None:
    """Refuse a post of nothing."""
    if not text.strip() and not media:
        raise EmptyPost


def check_media(media: Sequence[Media]) -> None:
    """Refuse addresses that lead nowhere."""
    for index, each in enumerate(media):
        if problem := url_problem(each.ref):
            raise InvalidField(f"media[{index}].ref", f"The address leads nowhere: {problem}.")


def newly_named(
    named: Sequence[UUID], *, before: Collection[UUID], told: Collection[UUID]
) -> list[UUID]:
    """Return whom to tell that they were named: not again, and not who is told anyway."""
    return [each for each in named if each not in before and each not in told]
