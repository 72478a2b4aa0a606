"""Posts, comments and likes, on the wire and in the store."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from nova.kernel.text import NO_NUL, Line
from nova.kernel.urls import Reference
from nova.web.people import Person

MOST_MEDIA = 10

PostText = Annotated[str, Meta(max_length=5_000), NO_NUL]
CommentText = Annotated[str, Meta(min_length=1, max_length=2_000), NO_NUL]


class Visibility(StrEnum):
    """Who may see a post, besides its author."""

    PUBLIC = "public"
    """Everybody; of a private account, whom it lets follow."""
    FOLLOWERS = "followers"
    CLOSE_FRIENDS = "close_friends"


class Media(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture or the like, which the app keeps; Nova keeps where it is."""

    type: Literal["image", "video", "audio", "file"]
    """What kind of media it is, such as `image`."""
    ref: Reference
    """An http(s) address, or an id of the app's own: no other scheme is taken."""
    alt: Line = ""
    """What it shows, in words."""


MediaList = Annotated[list[Media], Meta(max_length=MOST_MEDIA)]


class NewPost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A post to publish; it has text, media, or both."""

    text: PostText = ""
    """What it says, with `@mentions` and `#hashtags`."""
    media: MediaList = []
    """What is attached."""
    visibility: Visibility = Visibility.PUBLIC
    """Who may see it."""


class Edit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change about a post; what is absent stays."""

    text: PostText | UnsetType = UNSET
    """What it is to say instead."""
    media: MediaList | UnsetType = UNSET
    """What is attached instead."""
    visibility: Visibility | UnsetType = UNSET
    """Who may see it from now on."""


class NewComment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comment to write."""

    text: CommentText
    """What it says, with `@mentions`."""
    reply_to: UUID | None = None
    """The comment that this answers. A reply to a reply stands beside it, under their comment."""


class CommentEdit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a comment is to say instead."""

    text: CommentText
    """What it is to say instead."""


class Post(Struct, frozen=True, kw_only=True):
    """A post, as somebody sees it."""

    id: UUID
    """Nova's id of the post."""
    author: Person
    """Who wrote it."""
    text: str
    """What it says."""
    media: Raw
    """What the author attached: a list of `{type, ref, alt}`."""
    visibility: Visibility
    """Who may see it."""
    tags: list[str]
    """Hashtags, in lower case, without the sign."""
    mentions: list[Person]
    """Whom it names."""
    likes: int
    """How many like it."""
    comments: int
    """With replies."""
    liked: bool
    """Whether whoever looks likes it."""
    created_at: datetime
    """When it was published."""
    edited_at: datetime | None
    """When it was changed last; absent if never."""


class Comment(Struct, frozen=True, kw_only=True):
    """A comment, or a reply to one."""

    id: UUID
    """Nova's id of the comment."""
    post: UUID
    """The post that it stands under."""
    parent: UUID | None
    """Of a reply, the comment under which it stands."""
    author: Person
    """Who wrote it."""
    text: str
    """What it says."""
    mentions: list[Person]
    """Whom it names."""
    replies: int
    """How many replies it has."""
    created_at: datetime
    """When it was written."""
    edited_at: datetime | None
    """When it was changed last; absent if never."""


class Liker(Struct, frozen=True, kw_only=True):
    """Somebody who likes a post, and since when."""

    person: Person
    """Who likes it."""
    at: datetime
    """Since when."""


class Liking(Struct, frozen=True):
    """Whether a person likes a post, and how many do."""

    liked: bool
    """Whether whoever asks likes it now."""
    likes: int
    """How many like it now."""


class Written(Struct, frozen=True, kw_only=True):
    """A post as the store has it."""

    id: UUID
    author: UUID
    visibility: Visibility
    body: str
    media: str
    tags: list[str]
    mentions: list[UUID]
    likes: int
    comments: int
    created_at: datetime
    edited_at: datetime | None
    liked: bool = False

    @property
    def place(self) -> UUID:
        return self.id


class Said(Struct, frozen=True, kw_only=True):
    """A comment as the store has it."""

    id: UUID
    post: UUID
    parent: UUID | None
    author: UUID
    body: str
    mentions: list[UUID]
    replies: int
    created_at: datetime
    edited_at: datetime | None = None

    @property
    def place(self) -> UUID:
        return self.id


class Fan(Struct, frozen=True):
    """A like as the store has it."""

    author: UUID
    """Who likes."""
    at: datetime

    @property
    def place(self) -> tuple[datetime, UUID]:
        return self.at, self.author


class Candidate(Struct, frozen=True):
    """A post that may belong on a page of a feed."""

    id: UUID
    author: UUID

    @property
    def place(self) -> UUID:
        return self.id


class NewPosts(Struct, frozen=True, kw_only=True, tag_field="type", tag="posts"):
    """Published on `feed:<id>`: so many new posts since a moment ago."""

    count: int
    newest: UUID
