"""The API's description is true, and readable."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from nova.web.documentation.site import pages
from support.echo import ROUTES
from support.http import People, api_client
from support.parts import DOCUMENT, PARTS


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(ROUTES, People("ada"), mounts=pages(DOCUMENT, tmp_path)) as client:
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
        part, name = one.removeprefix("#/components/").split("/")
        assert name in DOCUMENT["components"][part]


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


def test_an_operation_says_what_follows_from_its_declaration() -> None:
    listed = DOCUMENT["paths"]["/v1/users/{user}/parts"]["get"]["description"]
    assert listed.startswith("Newest first; `<script>` is text. ")
    assert "the user whom the path names" in listed
    assert "`next_cursor`" in listed
    assert "`next_cursor`" not in DOCUMENT["paths"]["/v1/parts"]["post"]["description"]


def test_what_stands_inside_itself_is_shown_once() -> None:
    body = DOCUMENT["paths"]["/v1/parts"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"name": "<wheel>", "of": None, "sizes": [1], "more": {}}


def test_usual_refusals_have_examples_of_their_own_status() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if "$ref" in answer and status != "default":
                    shared = DOCUMENT["components"]["responses"][answer["$ref"].split("/")[-1]]
                    example = shared["content"]["application/problem+json"]["example"]
                    assert str(example["status"]) == status, path
