"""What the OpenAPI document says of groups, of segments of paths, and of every route."""

from collections.abc import Iterator, Mapping

from nova.web.actors import Rule
from nova.web.routes import Paged, Route

GROUPS: Mapping[str, str] = {
    "users": "Users of the host app: made, changed, exported and erased.",
    "devices": "Devices of users, to which push goes.",
    "credentials": "Server keys of the host app's backend, and tokens of its users.",
    "follows": "Who follows whom, who asks to, and which accounts are private.",
    "blocks-and-mutes": "Whom a person does not want to meet, or does not want to hear of.",
    "relations": "What two people are to each other, close friends, and whom somebody may know.",
    "events": "What happened in the host app: events come in, become notifications and are traced.",
    "notifications": "The inbox: lists, counts, marks, preferences, and types with templates.",
    "posts": "Posts, comments, likes, hashtags and home feeds.",
    "mail": "Words, layout and colours of mails, and mails to look at.",
    "deliveries": "Push and mail: attempts, policies, and links that unsubscribe.",
    "quiet-hours": "When a person is not disturbed by push and mail.",
    "webhooks": "Addresses of the host app that are told of deliveries.",
    "channels": "Channels of the socket, from the backend: publish, history, presence.",
    "centrifugo": "Centrifugo's server API, for backends that speak it already.",
    "operations": "How a deployment does: rates, lags, engines and dead letters.",
    "demo": "What the demo's page calls; only `nova demo` has it.",
}
"""The tags of operations, each with its sentence, in the order in which people meet them."""

_TAGS: Mapping[str, str] = {
    "export": "users",
    "erasures": "users",
    "keys": "credentials",
    "tokens": "credentials",
    **dict.fromkeys(("following", "followers", "mutuals", "connections"), "follows"),
    **dict.fromkeys(("privacy", "follow-requests"), "follows"),
    **dict.fromkeys(("blocks", "mutes"), "blocks-and-mutes"),
    **dict.fromkeys(("close-friends", "relation", "common", "path", "suggestions"), "relations"),
    **dict.fromkeys(("preferences", "notification-types"), "notifications"),
    **dict.fromkeys(("comments", "tags", "feeds"), "posts"),
    **dict.fromkeys(
        ("outbox", "delivery-lanes", "delivery-policies", "unsubscribe"),
        "deliveries",
    ),
    **dict.fromkeys(("disconnect", "refresh", "publications", "users/unsubscribe"), "channels"),
    **dict.fromkeys(("mail-templates", "mail-layout"), "mail"),
    "api": "centrifugo",
    **dict.fromkeys(("overview", "consumers", "engines", "dead-letters"), "operations"),
}
"""The tag of a list, where it is not the list's own name."""

SEGMENTS: Mapping[str, tuple[str, str]] = {
    "user": ("Nova's id of the user, your own one, or `me`.", "user-1815"),
    "other": ("Another user, by either id.", "user-1843"),
    "reference": ("Either id of the user.", "user-1815"),
    "device": ("Nova's id of the device.", ""),
    "key": ("Nova's id of the server key.", ""),
    "webhook": ("Nova's id of the webhook.", ""),
    "lane": ("The provider's queue: `ios`, `android`, `web` or `mail`.", "ios"),
    "type": ("The type of notification.", "like"),
    "name": ("The name of the type.", "like"),
    "mark": ("What to do with it.", "read"),
    "tag": ("The hashtag, without its sign.", "sunset"),
    "token": ("The token in the link of a mail.", "bGlrZQ"),
    "channel": ("The name of the channel, such as `room:lobby`.", "room:lobby"),
}
"""Of each `{name}` in paths: the sentence, and an example; where that is empty, any UUID."""

PAGING: Mapping[str, str] = {
    "limit": "How many at most.",
    "cursor": "Where the page begins: `next_cursor` of the page before.",
}

_CALLERS: Mapping[Rule, str] = {
    Rule.PUBLIC: "Anybody may call it.",
    Rule.SERVER: "Your backend calls it, with a server key.",
    Rule.USER: "A user calls it, with their token.",
    Rule.EITHER: "Your backend calls it with a server key, or a user with their token.",
    Rule.SELF: "Your backend calls it with a server key, or the user whom the path names.",
}
_USUAL_BODY = 1 << 20


def tag(route: Route) -> str:
    """Return the group that a route is listed in: a key of GROUPS, or the name of its list."""
    segments = [one for one in route.path.split("/") if one and one != "v1"] or ["root"]
    of_user = segments[0] == "users" and len(segments) > 2  # noqa: PLR2004  # /users/{user}/…
    listed = segments[2] if of_user else segments[0]
    own = _TAGS.get(f"users/{listed}") if of_user else None
    return own or _TAGS.get(listed, listed)


def description(route: Route) -> str:
    """Return what a route says of itself, and what follows from its declaration."""
    return " ".join([one for one in (route.description, *_following(route)) if one])


def _following(route: Route) -> Iterator[str]:
    yield _CALLERS[route.rule]
    if getattr(route.returns, "__origin__", None) is Paged:
        yield "Pass the answer's `next_cursor` as `cursor` for the next page."
    if route.cost > 1 and route.rule is not Rule.SERVER:
        yield f"Takes {route.cost} calls from the budget of its user."
    if route.secret:
        yield "The answer holds a secret, and is never kept under an `Idempotency-Key`."
    if route.max_body > _USUAL_BODY:
        yield f"The body may have {route.max_body >> 20} MiB."


def segment(path: str, name: str) -> tuple[str, str]:
    """Return the sentence and the example of a `{name}` in a path."""
    said, shown = SEGMENTS.get(name, ("", ""))
    listed = path.partition("/{" + name + "}")[0].rpartition("/")[2]
    if listed == "events":
        shown = "like-1"
    said = said or f"The id of one of the {listed.replace('-', ' ')}."
    return said, shown or "0192f0c1-7e3a-7c5b-9a51-3f8e2d4b6c10"
