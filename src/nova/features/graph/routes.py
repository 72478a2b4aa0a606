"""The table of routes of the graph."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from nova.features.graph.api import Handler, Handlers, Most, Page
from nova.features.graph.models import (
    Act,
    Connection,
    Connections,
    Mute,
    Path,
    Privacy,
    Relation,
    Suggestions,
    Tie,
)
from nova.web.actors import Rule
from nova.web.routes import Limit, Paged, Parallel, Route

USER = "/v1/users/{user}"
ASKED = "follow-requests"
TIES = Limit("ties", per_s=2, burst=200)
"""Follows, blocks and the like, of one user."""
PATHS = Parallel(name="paths", of_one=1)
SUGGESTIONS = Parallel(name="suggestions", of_one=1)


def routes(do: Handlers) -> Sequence[Route]:
    return (*_follows(do), *_requests(do), *_silences(do), *_two(do), *_suggestions(do))


def _follows(do: Handlers) -> Sequence[Route]:
    return (
        _act(
            "PUT",
            "following/{other}",
            do.does(Act.FOLLOW),
            "Follow somebody, or ask to",
            "A private account is asked: then `requested` is true, and `follows` is not.",
        ),
        _act(
            "DELETE",
            "following/{other}",
            do.does(Act.UNFOLLOW),
            "No longer follow somebody, or take a request back",
        ),
        _act(
            "DELETE",
            "followers/{other}",
            do.does(Act.REMOVE),
            "Have somebody no longer follow you",
        ),
        _list("followers", do.followers, "List followers, newest first", Rule.EITHER, LISTS),
        _list("following", do.following, "List those followed, newest first", Rule.EITHER, LISTS),
        _list("mutuals", do.mutuals, "List those who follow back", Rule.EITHER, LISTS),
        Route(
            method="GET",
            path=f"{USER}/connections",
            rule=Rule.EITHER,
            handler=do.connections,
            summary="Count followers and those followed, exactly",
            description=LISTS,
            returns=Connections,
        ),
        Route(
            method="PUT",
            path=f"{USER}/privacy",
            rule=Rule.SELF,
            handler=do.privacy,
            summary="Make an account private, or public",
            description="Requests that wait for an answer go on waiting for it.",
            body=Privacy,
            returns=Connections,
        ),
    )


LISTS = (
    "Those of a private account are for itself, for whom it lets follow, and for server keys. "
    "Others get 404, as if there were no such person, and so does a person who is blocked. Whom a "
    "block of either side separates from the caller is left out."
)


def _requests(do: Handlers) -> Sequence[Route]:
    return (
        _list(ASKED, do.requests, "List those who ask to follow"),
        _list(f"{ASKED}/sent", do.ties(Tie.REQUEST), "List those asked, and not answered yet"),
        _act("POST", ASKED + "/{other}/approve", do.does(Act.APPROVE), "Let somebody follow"),
        _act("POST", ASKED + "/{other}/decline", do.does(Act.DECLINE), "Decline a request"),
    )


def _silences(do: Handlers) -> Sequence[Route]:
    return (
        _list("blocks", do.ties(Tie.BLOCK), "List whom a person blocks"),
        _act(
            "PUT",
            "blocks/{other}",
            do.does(Act.BLOCK),
            "Block somebody",
            "Follows and requests end both ways, in the same commit. Nobody is told.",
        ),
        _act("DELETE", "blocks/{other}", do.does(Act.UNBLOCK), "Lift a block"),
        _list("mutes", do.ties(Tie.MUTE), "List whom a person has muted"),
        _act(
            "PUT",
            "mutes/{other}",
            do.mute,
            "Mute somebody, for a while or for good",
            "Nothing that a muted person does rings. Nobody is told.",
            body=Mute,
        ),
        _act("DELETE", "mutes/{other}", do.does(Act.UNMUTE), "Hear of somebody again"),
        _list("close-friends", do.ties(Tie.CLOSE_FRIEND), "List close friends"),
        _act("PUT", "close-friends/{other}", do.does(Act.BEFRIEND), "Add a close friend"),
        _act("DELETE", "close-friends/{other}", do.does(Act.UNFRIEND), "Remove a close friend"),
    )


def _two(do: Handlers) -> Sequence[Route]:
    return (
        _act("GET", "relation/{other}", do.relation, "Tell what two people are to each other"),
        _list("common/{other}", do.common, "List whom both follow", looks_into=("user", "other")),
        Route(
            method="GET",
            path=f"{USER}/path/{{other}}",
            rule=Rule.SELF,
            handler=do.path,
            summary="Tell how a person knows another: the shortest way of up to six hops",
            returns=Path,
            cost=20,
            parallel=PATHS,
        ),
    )


def _suggestions(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="GET",
            path=f"{USER}/suggestions",
            rule=Rule.SELF,
            handler=do.suggestions,
            summary="List people whom a person may know, with reasons",
            query=Most,
            returns=Suggestions,
            cost=10,
            parallel=SUGGESTIONS,
        ),
        Route(
            method="DELETE",
            path=f"{USER}/suggestions/{{other}}",
            rule=Rule.SELF,
            handler=do.dismiss,
            summary="Never suggest somebody again",
            status=204,
        ),
    )


def _act(
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    description: str = "",
    *,
    body: Any = UNSET,
) -> Route:
    """Return an operation on two people, which answers with what they are to each other."""
    return Route(
        method=method,
        path=f"{USER}/{path}",
        rule=Rule.SELF,
        handler=handler,
        summary=summary,
        description=description,
        returns=Relation,
        body=body,
        limit=None if method == "GET" else TIES,
    )


def _list(
    path: str,
    handler: Handler,
    summary: str,
    rule: Rule = Rule.SELF,
    description: str = "",
    *,
    looks_into: tuple[str, ...] = ("user",),
) -> Route:
    return Route(
        method="GET",
        path=f"{USER}/{path}",
        rule=rule,
        cost=2,
        handler=handler,
        summary=summary,
        description=description,
        query=Page,
        returns=Paged[Connection],
        looks_into=looks_into,
    )
