"""Routes as data: router, OpenAPI, auth matrix and docs are all made from them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct

from nova.kernel.errors import NotFound, Unauthenticated
from nova.kernel.ids import parse_id
from nova.web.actors import Actor, Rule, User

B = TypeVar("B")
Q = TypeVar("Q")
T = TypeVar("T")


class Call(Struct, Generic[B, Q], frozen=True):
    """One request, authenticated and validated; what a handler gets."""

    actor: Actor
    body: B
    query: Q
    path: Mapping[str, str]
    trace_id: str
    user: UUID | None = None
    """The user that `{user}` in the path names (by either id), resolved; the actor for `me`."""
    traceparent: str | None = None
    other: UUID | None = None
    """The user that `{other}` in the path names, resolved."""

    def subject(self) -> UUID:
        """Return the user whom the path names, or else the one who calls."""
        if self.user is not None:
            return self.user
        if isinstance(self.actor, User):
            return self.actor.id
        raise Unauthenticated

    def id_of(self, name: str, missing: NotFound | type[NotFound]) -> UUID:
        """Return the id in a segment of the path; raises `missing` for what is no id."""
        found = parse_id(self.path[name])
        if found is None:
            raise missing
        return found


class Limit(Struct, frozen=True):
    """A GCRA rate limit per actor (per address when anonymous): `burst` at once, then `per_s`."""

    name: str
    per_s: float
    burst: int
    fail_open: bool = True
    """Whether calls pass when the limiter's own store fails."""
    of_failures: bool = False
    """For routes whose path is itself the credential: counts per path and, of an address, only what
    was refused. So nobody at an address keeps out those who have something valid."""


class Parallel(Struct, frozen=True, kw_only=True):
    """How many calls of costly routes run at once; routes with the same name share the bound.

    Beyond `waiting` further calls, and after `wait_s`, the answer is 503; beyond `of_one` calls of
    one caller it is 429. Server keys have as many beside those of users; theirs all wait, and for
    longer.
    """

    name: str
    running: int = 2
    of_one: int = 2
    waiting: int = 32
    wait_s: float = 1.0


class Reply(Struct, Generic[T], frozen=True):
    """An answer with more than a body; a handler may return its body alone instead."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] | None = None


class Html(Struct, frozen=True):
    """An answer that is a page for people; it may hold a form, but no script and no style."""

    text: str


class Route(Struct, frozen=True, kw_only=True):
    """One operation of the API.

    `path` holds `{name}` segments. `{user}` takes either id of a user, or `me`; `{other}` takes
    either id of another one. Who is not there for the actor is 404 before the handler runs.
    `body` and `query` are msgspec Structs; query fields must be scalars or lists of them.
    A handler that returns None answers 204.
    """

    method: str
    path: str
    rule: Rule
    handler: Callable[[Call[Any, Any]], Awaitable[Any]]
    summary: str
    description: str = ""
    body: Any = UNSET
    each: str | None = None
    """The member of the body that is a batch: of its items, those that cannot be read are
    `nova.web.intake.BadItem`, and refused by themselves. Of a body that is Raw, its handler
    reads the items."""
    example: Any = UNSET
    """A body to show, where one that is made of its type would be refused."""
    refers_to: tuple[Any, ...] = ()
    """Types that the JSON Schema of the body refers to, where a handler reads the body itself."""
    query: Any = UNSET
    returns: Any = UNSET
    status: int = 200
    cost: int = 1
    """What a call takes from its user's budget, see Budgets. Of a server key's it takes 1, and
    without credentials 1 from that of its address."""
    limit: Limit | None = None
    """A limit of its own on top, for users; for callers without credentials in place of theirs."""
    parallel: Parallel | None = None
    looks_into: tuple[str, ...] = ("user",)
    """Of `{user}` and `{other}`, those whose own lists are shown: private ones are closed."""
    secret: bool = False
    """Whether the answer holds a secret, which is then never kept under an Idempotency-Key."""
    max_body: int = 1 << 20
    """In bytes; a longer body is answered 413 without being read."""


class Paged(Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` is absent on the last one."""

    data: list[T]
    """The items of this page."""
    next_cursor: str | None = None
    """Pass it as `cursor` for the next page; absent on the last one."""
