"""The auth matrix: every route times every kind of caller, without any effect.

Each request carries a query parameter that no route knows. Routes refuse it after
they decided who may call and before their handler runs, so an admitted caller is
recognised by that refusal (or by that of the missing body), and nothing happens.
What handlers decide themselves (whose notification is it?) the features' tests cover.

    failures = await unexpected(client, app.routes, Callers(owner=…, …))
    assert failures == []
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
from msgspec import Struct

from nova.web.actors import Rule
from nova.web.routes import Route


class Callers(Struct, frozen=True, kw_only=True):
    """Tokens, and the user that `{user}` in a path names."""

    user: str
    """The owner's id, either one."""
    owner: str
    other: str
    server: str
    expired: str
    revoked: str
    suspended: str
    """A good token of somebody who is suspended."""
    forged: str
    """The owner's claims, under a signature that is nobody's."""
    somebody: str = "none"
    """The user that `{other}` in a path names, who has to be there."""
    malformed: str = "not.a.token"


REFUSED = ("nobody", "malformed", "forged", "expired", "revoked", "suspended")
TOO_MANY = 429
ADMITTED = frozenset({400, 415, 422})
"""How a request is refused whose caller was not."""

_BY_RULE: Mapping[Rule, Mapping[str, frozenset[int]]] = {
    Rule.PUBLIC: {"nobody": ADMITTED, "owner": ADMITTED, "other": ADMITTED, "server": ADMITTED},
    Rule.SERVER: {"owner": frozenset({403}), "other": frozenset({403}), "server": ADMITTED},
    Rule.USER: {"owner": ADMITTED, "other": ADMITTED, "server": frozenset({403})},
    Rule.EITHER: {"owner": ADMITTED, "other": ADMITTED, "server": ADMITTED},
    Rule.SELF: {"owner": ADMITTED, "other": frozenset({404}), "server": ADMITTED},
}


class Cell(NamedTuple):
    """One caller at one route, and the statuses that are right."""

    route: Route
    caller: str
    right: frozenset[int]


def cells(routes: Sequence[Route]) -> Iterator[Cell]:
    for route in routes:
        right = dict.fromkeys(REFUSED, frozenset({401})) | dict(_BY_RULE[route.rule])
        for caller, statuses in right.items():
            yield Cell(route, caller, statuses)


async def unexpected(
    client: httpx.AsyncClient, routes: Sequence[Route], callers: Callers
) -> list[str]:
    """Ask every cell; return those that were not answered right, in words."""
    wrong: list[str] = []
    for route, caller, right in cells(routes):
        token = None if caller == "nobody" else getattr(callers, caller)
        answer = await patiently(
            client,
            route.method,
            _path(route, callers),
            params={"auth_matrix": "1"},
            headers={"authorization": f"Bearer {token}"} if token else {},
        )
        if answer.status_code not in right:
            wrong.append(
                f"{route.method} {route.path} as {caller}: "
                f"{answer.status_code} {answer.text[:200]}, not {sorted(right)}"
            )
    return wrong


def _path(route: Route, callers: Callers) -> str:
    path = route.path.replace("{user}", callers.user).replace("{other}", callers.somebody)
    return re.sub(r"{\w+}", "none", path)


async def patiently(
    client: httpx.AsyncClient, method: str, path: str, **more: Any
) -> httpx.Response:
    """Ask again as often as it takes: strangers may not ask as often as there are routes."""
    while True:
        answer = await client.request(method, path, **more)
        if answer.status_code != TOO_MANY:
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))
