"""The matrix finds a door that stands open, and one that is shut."""

from typing import Any

from nova.web.actors import Rule
from nova.web.routes import Call, Route
from support.auth_matrix import Callers, cells, unexpected
from support.http import SERVER, People, api_client

CALLED: list[Call[Any, Any]] = []


async def called(call: Call[Any, Any]) -> None:
    CALLED.append(call)


ROUTES = [
    Route(method="DELETE", path=f"/{rule.name}/{{user}}", rule=rule, handler=called, summary="")
    for rule in Rule
]
CALLERS = Callers(
    user="ada",
    owner="ada",
    other="ben",
    server=SERVER,
    expired="old",
    revoked="gone",
    suspended="out",
    forged="false",
)


async def test_right_doors_pass_and_nothing_happens() -> None:
    async with api_client(ROUTES, People("ada", "ben")) as client:
        assert await unexpected(client, ROUTES, CALLERS) == []
    assert CALLED == []


async def test_credentials_that_should_not_work_are_found() -> None:
    async with api_client(ROUTES, People("ada", "ben", "old")) as client:
        wrong = await unexpected(client, ROUTES, CALLERS)
    assert wrong
    assert all(" as expired: " in one for one in wrong)


async def test_a_route_that_admits_others_is_found() -> None:
    open_doors = [
        Route(method="DELETE", path="/SELF/{user}", rule=Rule.EITHER, handler=called, summary="")
    ]
    async with api_client(open_doors, People("ada", "ben")) as client:
        wrong = await unexpected(client, ROUTES[-1:], CALLERS)
    assert len(wrong) == 1
    assert "DELETE /SELF/{user} as other: 422" in wrong[0]


def test_every_rule_has_its_row() -> None:
    assert {cell.route.rule for cell in cells(ROUTES)} == set(Rule)
