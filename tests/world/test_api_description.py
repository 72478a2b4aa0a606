"""What a whole server says of its API in OpenAPI is complete, and true."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import pytest

from nova.bench.processes import serving
from support.app import App

WRONG = {400, 401, 403, 405, 415, 422}
"""How a call is refused that is not as it has to be; what it is about need not be there."""
NAMESPACE = '[{"name": "room", "history_size": 9, "history_ttl_s": 60, "presence": true}]'
HANDED_OUT = {"get_unsubscribe_token", "post_unsubscribe_token"}
"""Their paths hold a secret that nobody can make an example of."""


class Operation(NamedTuple):
    """An operation of the document."""

    method: str
    path: str
    says: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.says["operationId"])

    def examples(self) -> list[Any]:
        """Return the examples of its body; None where it has no body."""
        body = self.says.get("requestBody")
        return shown(body["content"]["application/json"]) if body else [None]

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield the descriptions of what it answers when all is well."""
        for status, answer in self.says["responses"].items():
            if status.startswith("2") and "content" in answer:
                yield answer["content"]["application/json"]


def shown(media: dict[str, Any]) -> list[Any]:
    named = media.get("examples")
    return [one["value"] for one in named.values()] if named else [media["example"]]


class Described:
    """The document of a server."""

    def __init__(self, app: App, document: dict[str, Any]) -> None:
        self.app = app
        self.document = document
        self.operations = [
            Operation(method.upper(), path, says)
            for path, methods in document["paths"].items()
            for method, says in methods.items()
        ]

    def wrong(self, schema: dict[str, Any], value: Any) -> str:
        """Say what is wrong with a value; nothing if it is as the schema says."""
        whole = {"components": self.document["components"], **schema}
        try:
            jsonschema_rs.validator_for(whole).validate(value)
        except jsonschema_rs.ValidationError as error:
            return str(error)
        return ""


@pytest.fixture(scope="module")
async def described() -> AsyncIterator[Described]:
    async with serving({"NOVA_NAMESPACES": NAMESPACE}) as server:
        app = App(server)
        async with app.client() as client:
            document = (await client.get("/openapi.json")).json()
            people = [{"external_id": name, "name": name} for name in ("user-1815", "user-1843")]
            await client.post("/v1/users/bulk", json={"users": people})
        yield Described(app, document)


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of every schema."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name in {"example", "examples"}:
                continue
            if name == "properties":
                yield from ((f"{path}.{each}", schema) for each, schema in inner.items())
            yield from properties(inner, f"{path}.{name}")
    elif isinstance(node, list):
        for inner in node:
            yield from properties(inner, path)


def is_sentence(text: str) -> bool:
    return len(text) > 5 and text[0] == text[0].upper() and text.rstrip()[-1] in ".:`"


def test_every_property_and_parameter_has_a_sentence(described: Described) -> None:
    found = list(properties(described.document["components"]))
    found += properties(described.document["paths"])
    assert len(found) > 400
    parameters = [
        (f"{one.id}.{each['name']}", each)
        for one in described.operations
        for each in one.says["parameters"]
    ]
    assert len(parameters) > 200
    assert [
        name for name, one in found + parameters if not is_sentence(one.get("description", ""))
    ] == []


def test_every_operation_has_an_id_a_summary_and_a_description(described: Described) -> None:
    ids = [one.id for one in described.operations]
    assert len(ids) == len(set(ids)) > 100
    for one in described.operations:
        assert len(one.says["summary"]) > 5, one.id
        assert is_sentence(one.says["description"]), one.id
        assert one.says["description"] != one.says["summary"], one.id


def test_every_group_is_described(described: Described) -> None:
    """Groups and their sentences are in nova/web/openapi_texts.py."""
    tags = {one["name"]: one.get("description", "") for one in described.document["tags"]}
    assert {name for one in described.operations for name in one.says["tags"]} == tags.keys()
    assert [name for name, said in tags.items() if not is_sentence(said)] == []


def test_every_example_is_what_its_schema_says(described: Described) -> None:
    examined, wrong = 0, []
    for one in described.operations:
        body = one.says.get("requestBody")
        bodies = [body["content"]["application/json"]] if body else []
        for media in [*bodies, *one.answers()]:
            for example in shown(media):
                examined += 1
                if error := described.wrong(media["schema"], example):
                    wrong.append(f"{one.id}: {error}")
    assert examined > 100
    assert not wrong, "\n".join(wrong)
    for name, answer in described.document["components"]["responses"].items():
        media = answer["content"]["application/problem+json"]
        if name != "Refusal":
            assert not described.wrong(media["schema"], media["example"])


async def test_every_example_is_taken_and_every_answer_is_as_described(
    described: Described,
) -> None:
    wrong, answered = [], 0
    for one in sorted(described.operations, key=late):
        if one.id in HANDED_OUT:
            continue
        for body in one.examples():
            answer = await asked(described.app, one, body)
            if answer.status_code in WRONG:
                wrong.append(f"{one.id} {body}: {answer.status_code} {answer.text}")
            if answer.is_success and answer.content:
                [media] = one.answers()
                answered += 1
                if error := described.wrong(media["schema"], answer.json()):
                    wrong.append(f"{one.id} answers {answer.text}: {error}")
            problem = answer.json() if answer.is_error else {}
            if problem and described.wrong({"$ref": "#/components/schemas/Problem"}, problem):
                wrong.append(f"{one.id}: {problem} is no problem document")
    assert not wrong, "\n".join(wrong)
    assert answered > 60


def late(one: Operation) -> int:
    """Tell what has to come last, as nothing can be called after it."""
    if one.path == "/v1/tokens/revoke":
        return 2
    return 3 if one.id == "delete_users_user" else one.method == "DELETE"


async def asked(app: App, one: Operation, body: Any) -> httpx.Response:
    """Call an operation with its examples, as whoever may call it."""
    path = one.path
    for each in one.says["parameters"]:
        if each["in"] == "path":
            path = path.replace("{" + each["name"] + "}", each["example"])
    of_server = one.says["x-rule"] == "server key" or one.id == "delete_users_user"
    path = path.replace("/me", "/user-1815") if of_server else path
    async with app.client(None if of_server else "user-1815") as client:
        return await client.request(one.method, path, json=body)
