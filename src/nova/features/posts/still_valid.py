"""Check that a like, comment or mention still exists and that the recipient may see the post."""

from collections.abc import Mapping, Sequence

from nova.feature import Subjects
from nova.features.posts import store
from nova.features.posts.events import (
    CommentDeleted,
    CommentEdited,
    PostDeleted,
    PostEdited,
    Unliked,
)
from nova.features.posts.rules import excerpt, open_to
from nova.features.posts.views import Sights
from nova.kernel.subjects import Stands, Subject, Touched
from nova.ports.database import Queries

LIKE, COMMENT, MENTION = "like", "comment", "mention"


def subjects(db: Queries, sights: Sights) -> Subjects:
    """Return the answer about likes, comments and mentions."""

    async def standing(asked: Sequence[Subject]) -> Mapping[Subject, Stands]:
        holds = await store.standing(db, asked)
        pairs = {(asked[at].recipient, each.author) for at, each in holds.items()}
        seen = await sights.seen([pair for pair in pairs if pair[0] != pair[1]])
        return {
            one: Stands(each.author, each.post, {_key(one): excerpt(each.text)})
            for at, each in holds.items()
            if (one := asked[at]).recipient == each.author
            or each.visibility in open_to(seen[one.recipient, each.author])
        }

    return Subjects(
        kinds=(LIKE, COMMENT, MENTION),
        standing=standing,
        changed_by={
            PostEdited: lambda fact: [Touched(owner=fact.author, within=fact.post)],
            PostDeleted: lambda fact: [Touched(owner=fact.author, within=fact.post)],
            Unliked: _unliked,
            CommentEdited: _of_comments,
            CommentDeleted: _of_comments,
        },
    )


def _key(subject: Subject) -> str:
    """Return under which key of its metadata an event says what the post or comment says."""
    return "excerpt" if subject.kind == LIKE else "text"


def _unliked(fact: Unliked) -> Sequence[Touched]:
    touched = Touched(owner=fact.author, within=fact.post, items=(fact.post,), actor=fact.person)
    return [touched]


def _of_comments(fact: CommentEdited | CommentDeleted) -> Sequence[Touched]:
    gone = (fact.comment, *(fact.replies if isinstance(fact, CommentDeleted) else ()))
    return [Touched(owner=fact.author, within=fact.post, items=gone)]
