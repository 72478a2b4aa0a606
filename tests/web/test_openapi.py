"""The API's description is true, and readable."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import jsonschema_rs
import pytest
from msgspec import Meta, Struct

from nova.kernel.text import Count, Name
from nova.web.actors import Rule
from nova.web.cursors import BadCursor
from nova.web.openapi import document, pages
from nova.web.page import Page
from nova.web.problems import kinds
from nova.web.routes import Call, Paged, Route
from support.echo import ROUTES
from support.http import People, api_client


class Part(Struct):
    name: Annotated[Name, Meta(examples=["<wheel>"])]
    of: "Part | None" = None
    sizes: list[Count] = []
    more: dict[str, Any] = {}


class Filter(Struct):
    limit: Annotated[int, Meta(ge=1, le=100, description="How many, at `most`.")] = 20
    kinds: list[Name] = []


async def nothing(call: Call[Any, Any]) -> None:
    return None


PARTS = [
    Route(
        method="GET",
        path="/v1/users/{user}/parts",
        rule=Rule.SELF,
        handler=nothing,
        query=Filter,
        returns=Paged[Part],
        summary="List parts & pieces",
        description="Newest first; `<script>` is text.",
    ),
    Route(
        method="POST",
        path="/v1/parts",
        rule=Rule.SERVER,
        handler=nothing,
        body=Part,
        returns=Part,
        status=201,
        summary="Add a part",
    ),
    Route(
        method="DELETE", path="/v1/parts/{part}", rule=Rule.USER, handler=nothing, summary="Drop"
    ),
]
DOCUMENT = document([*PARTS, *ROUTES], version="1.2.3", kinds=list(kinds("nova")))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(ROUTES, People("ada"), mounts=pages(DOCUMENT)) as client:
        yield client


def test_every_route_is_described() -> None:
    described = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert described == {(one.method, one.path) for one in [*PARTS, *ROUTES]}


def test_an_operation_says_who_may_call_and_what_it_answers() -> None:
    listed = DOCUMENT["paths"]["/v1/users/{user}/parts"]["get"]
    assert listed["operationId"] == "get_users_user_parts"
    assert listed["security"] == [{"server_key": []}, {"user_token": []}]
    limit = next(one for one in listed["parameters"] if one["name"] == "limit")
    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "How many, at `most`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    }
    added = DOCUMENT["paths"]["/v1/parts"]["post"]
    assert added["requestBody"]["required"]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503"} <= set(
        added["responses"]
    )
    assert "204" in DOCUMENT["paths"]["/v1/parts/{part}"]["delete"]["responses"]


def test_operation_ids_are_unique() -> None:
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [one for value in node.values() for one in references(value)]
        return [one for item in node for one in references(item)] if isinstance(node, list) else []

    found = references(DOCUMENT)
    assert found
    for one in found:
        assert one.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


async def test_answers_match_their_description(client: httpx.AsyncClient) -> None:
    served = (await client.get("/openapi.json")).json()
    assert served == DOCUMENT
    answer = await client.post("/notes", json={"count": 7, "x": 1})
    operation = served["paths"]["/notes"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {"components": served["components"], **body}
    jsonschema_rs.validator_for(whole).validate(answer.json())
    problem = (await client.get("/mine")).json()
    refusal = {"components": served["components"], "$ref": "#/components/schemas/Problem"}
    jsonschema_rs.validator_for(refusal).validate(problem)


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert 'src="http' not in answer.text
    assert "<link" not in answer.text


def test_the_page_shows_every_operation_and_problem() -> None:
    html = Page(DOCUMENT).html.decode()
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            assert f'<article id="op-{operation["operationId"]}">' in html
            assert f'href="#op-{operation["operationId"]}"' in html
    for code in ("not_found", "idempotency_key_reused", BadCursor.code):
        assert f'<tr id="{code}">' in html


def test_what_routes_say_is_text_on_the_page() -> None:
    html = Page(DOCUMENT).html.decode()
    assert "List parts &amp; pieces" in html
    assert "<code>&lt;script&gt;</code> is text" in html
    assert "&lt;wheel&gt;" in html
    assert "<wheel>" not in html


def test_a_call_is_shown_in_three_languages_and_in_one_without_scripts() -> None:
    html = Page(DOCUMENT).html.decode()
    for name, hidden in (("curl", ""), ("Python", " hidden"), ("JavaScript", " hidden")):
        assert f'<pre tabindex="0" data-of="{name}"{hidden}>' in html
    assert "curl -H &quot;Authorization: Bearer $TOKEN&quot; http://nova/v1/users/me/parts" in html
