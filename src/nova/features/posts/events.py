"""What happens to posts: the feature's shop window."""

from typing import ClassVar
from uuid import UUID

from nova.kernel.events import Fact


class _OfPost(Fact, frozen=True, kw_only=True):
    """Something about a post; what happens to one author's posts is read in its order."""

    topic: ClassVar[str] = "posts"

    post: UUID
    author: UUID
    """Whose post it is."""

    @property
    def key(self) -> str:
        return str(self.author)


class PostPublished(_OfPost, frozen=True, kw_only=True):
    """A person published a post."""

    visibility: str


class PostEdited(_OfPost, frozen=True, kw_only=True):
    """An author changed a post, or who may see it."""

    visibility: str


class PostDeleted(_OfPost, frozen=True, kw_only=True):
    """A post is gone, with its likes and comments."""


class Liked(_OfPost, frozen=True, kw_only=True):
    """Somebody likes a post."""

    person: UUID
    excerpt: str = ""


class Unliked(_OfPost, frozen=True, kw_only=True):
    """Somebody no longer likes a post."""

    person: UUID


class Commented(_OfPost, frozen=True, kw_only=True):
    """Somebody commented on a post, or replied to a comment."""

    comment: UUID
    person: UUID
    replies_to: UUID | None = None
    """The person whose comment this answers."""
    excerpt: str = ""


class CommentEdited(_OfPost, frozen=True, kw_only=True):
    """Somebody changed what a comment says."""

    comment: UUID
    person: UUID


class CommentDeleted(_OfPost, frozen=True, kw_only=True):
    """A comment is gone, with its replies."""

    comment: UUID
    replies: tuple[UUID, ...] = ()


class Mentioned(Fact, frozen=True, kw_only=True):
    """Somebody was named in a post or a comment."""

    topic: ClassVar[str] = "posts"

    person: UUID
    """Who was named."""
    by: UUID
    post: UUID
    comment: UUID | None = None
    excerpt: str = ""

    @property
    def key(self) -> str:
        return str(self.person)


class AuthorForgotten(Fact, frozen=True, kw_only=True):
    """A user was erased, with all posts, comments and likes."""

    topic: ClassVar[str] = "posts"

    author: UUID

    @property
    def key(self) -> str:
        return str(self.author)


FACTS: tuple[type[Fact], ...] = (
    PostPublished,
    PostEdited,
    PostDeleted,
    Liked,
    Unliked,
    Commented,
    CommentEdited,
    CommentDeleted,
    Mentioned,
    AuthorForgotten,
)
