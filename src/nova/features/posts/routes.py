"""The table of routes of posts and feeds."""

from collections.abc import Sequence

from nova.features.posts.api import Handlers, Newest, Page, Whose
from nova.features.posts.models import (
    Comment,
    CommentEdit,
    Edit,
    Liker,
    Liking,
    NewComment,
    NewPost,
    Post,
)
from nova.web.actors import Rule
from nova.web.routes import Limit, Paged, Route

POST, COMMENT = "/v1/posts/{id}", "/v1/comments/{id}"
ACTS = "A server key says who acts with `?user=`."
LOOKS = "A server key sees all; with `?user=` it sees what that user sees."


WRITING = Limit("writing", per_s=0.5, burst=60)
"""Posts and comments of one user, new ones and changes."""
LIKES = Limit("likes", per_s=2, burst=200)
"""Likes of one user, given and taken back."""


def routes(do: Handlers) -> Sequence[Route]:
    return (*_posts(do), *_likes(do), *_comments(do), _home(do))


def _posts(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="POST",
            path="/v1/posts",
            rule=Rule.EITHER,
            handler=do.publish,
            limit=WRITING,
            summary="Publish a post",
            description=f"`@id` names people, `#tag` is a tag; who is named is told. {ACTS}",
            body=NewPost,
            query=Whose,
            returns=Post,
            status=201,
        ),
        Route(
            method="GET",
            path="/v1/posts",
            rule=Rule.SERVER,
            handler=do.newest,
            cost=2,
            summary="List all posts, the newest first",
            description="For those who look after the deployment: whoever may see each post.",
            query=Newest,
            returns=Paged[Post],
        ),
        Route(
            method="GET",
            path=POST,
            rule=Rule.EITHER,
            handler=do.post,
            summary="Read a post",
            description=f"What is not for whoever looks is 404. {LOOKS}",
            query=Whose,
            returns=Post,
        ),
        Route(
            method="PATCH",
            path=POST,
            rule=Rule.EITHER,
            handler=do.edit,
            limit=WRITING,
            summary="Change a post of your own",
            body=Edit,
            query=Whose,
            returns=Post,
        ),
        Route(
            method="DELETE",
            path=POST,
            rule=Rule.EITHER,
            handler=do.delete,
            summary="Delete a post of your own, with its likes and comments",
            query=Whose,
            status=204,
        ),
        Route(
            method="GET",
            path="/v1/users/{user}/posts",
            rule=Rule.EITHER,
            handler=do.of_author,
            cost=2,
            summary="List an author's posts, newest first",
            description=f"Those that are for whoever looks. {LOOKS}",
            query=Page,
            returns=Paged[Post],
        ),
        Route(
            method="GET",
            path="/v1/tags/{tag}/posts",
            rule=Rule.EITHER,
            handler=do.of_tag,
            cost=2,
            summary="List the posts with a hashtag, newest first",
            description=f"The tag is named without its sign. {LOOKS}",
            query=Page,
            returns=Paged[Post],
        ),
    )


def _likes(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="PUT",
            path=f"{POST}/like",
            rule=Rule.EITHER,
            handler=do.like,
            limit=LIKES,
            summary="Like a post",
            description=f"Once more changes nothing. {ACTS}",
            query=Whose,
            returns=Liking,
        ),
        Route(
            method="DELETE",
            path=f"{POST}/like",
            rule=Rule.EITHER,
            handler=do.unlike,
            limit=LIKES,
            summary="No longer like a post",
            query=Whose,
            returns=Liking,
        ),
        Route(
            method="GET",
            path=f"{POST}/likes",
            rule=Rule.EITHER,
            handler=do.likers,
            summary="List who likes a post, the newest first",
            query=Page,
            returns=Paged[Liker],
        ),
    )


def _comments(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="POST",
            path=f"{POST}/comments",
            rule=Rule.EITHER,
            handler=do.comment,
            limit=WRITING,
            summary="Comment on a post, or reply to a comment",
            description=ACTS,
            body=NewComment,
            query=Whose,
            returns=Comment,
            status=201,
        ),
        Route(
            method="GET",
            path=f"{POST}/comments",
            rule=Rule.EITHER,
            handler=do.comments,
            summary="List comments without the replies, the oldest first",
            query=Page,
            returns=Paged[Comment],
        ),
        Route(
            method="GET",
            path=COMMENT,
            rule=Rule.EITHER,
            handler=do.one_comment,
            summary="Read a comment",
            query=Whose,
            returns=Comment,
        ),
        Route(
            method="PATCH",
            path=COMMENT,
            rule=Rule.EITHER,
            handler=do.edit_comment,
            limit=WRITING,
            summary="Change a comment of your own",
            body=CommentEdit,
            query=Whose,
            returns=Comment,
        ),
        Route(
            method="GET",
            path=f"{COMMENT}/replies",
            rule=Rule.EITHER,
            handler=do.replies,
            summary="List the replies to a comment, the oldest first",
            query=Page,
            returns=Paged[Comment],
        ),
        Route(
            method="DELETE",
            path=COMMENT,
            rule=Rule.EITHER,
            handler=do.delete_comment,
            summary="Delete a comment with its replies: your own, or one on your post",
            query=Whose,
            status=204,
        ),
    )


def _home(do: Handlers) -> Route:
    return Route(
        method="GET",
        path="/v1/feeds/home",
        rule=Rule.EITHER,
        handler=do.home,
        cost=2,
        summary="List the newest posts of whom a person follows, and the person's own",
        description=(
            "The cursor neither skips nor repeats while new posts arrive. The socket's channel "
            "`feed:<user id>` says when there are new ones: `{type: posts, count, newest}`. "
            "A server key says whose feed with `?user=`."
        ),
        query=Page,
        returns=Paged[Post],
    )
