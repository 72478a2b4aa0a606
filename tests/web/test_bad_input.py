"""The bad-input matrix: a 4xx with a problem body, never a 5xx."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.echo import ROUTES
from support.http import People, api_client

JSON = {"content-type": "application/json"}
FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(ROUTES, People("ada")) as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert {"type", "title", "status", "detail", "hint", "trace_id"} <= problem.keys()


BODIES: dict[str, tuple[bytes, int, str]] = {
    # text
    "NUL": (rb'{"text":"a\u0000b"}', 422, "nul_character"),
    "NUL in free JSON": (rb'{"metadata":{"a":["\u0000"]}}', 422, "nul_character"),
    "NUL in a key": (rb'{"metadata":{"\u0000":1}}', 422, "nul_character"),
    "NUL after a backslash": (rb'{"text":"\\\u0000"}', 422, "nul_character"),
    "NUL after two": (rb'{"text":"\\\\\\\\\u0000"}', 422, "nul_character"),
    "raw NUL": (b'{"text":"a\0b"}', 400, "malformed_json"),
    "lone surrogate": (rb'{"text":"\ud800"}', 400, "malformed_json"),
    "second half alone": (rb'{"text":"\udc00 "}', 400, "malformed_json"),
    "bad UTF-8": (b'{"text":"\xff"}', 400, "malformed_json"),
    "overlong UTF-8": (b'{"text":"\xc0\x80"}', 400, "malformed_json"),
    "surrogate in UTF-8": (b'{"text":"\xed\xa0\x80"}', 400, "malformed_json"),
    "text too long": (b'{"text":"' + b"a" * 10_001 + b'"}', 422, "invalid"),
    "1 MB word": (b'{"text":"' + b"a" * 1_000_000 + b'"}', 422, "invalid"),
    # numbers
    "beyond int8": (b'{"count":9223372036854775808}', 422, "invalid"),
    "below int8": (b'{"count":-9223372036854775809}', 422, "invalid"),
    "NaN": (b'{"share":NaN}', 400, "malformed_json"),
    "Infinity": (b'{"share":-Infinity}', 400, "malformed_json"),
    "1e400": (b'{"share":1e400}', 422, "invalid"),
    "1e400 in free JSON": (b'{"metadata":{"a":1e400}}', 422, "invalid"),
    "5,000 digits": (b'{"count":' + b"9" * 5000 + b"}", 422, "invalid"),
    "5,000 digits in free JSON": (b'{"metadata":{"a":' + b"9" * 5000 + b"}}", 422, "invalid"),
    "a half": (b'{"count":0.5}', 422, "invalid"),
    # JSON and body
    "100k deep": (b'{"metadata":{"a":' + b"[" * 100_000, 400, "too_deep"),
    "100k objects deep": (b'{"metadata":' + b'{"a":' * 100_000, 400, "too_deep"),
    "deep in the unknown": (b'{"else":' + b"[" * 100_000, 400, "too_deep"),
    "wrong type": (b'{"text":7}', 422, "invalid"),
    "array": (b"[]", 422, "invalid"),
    "null": (b"null", 422, "invalid"),
    "cut": (b'{"text":', 400, "malformed_json"),
    "two documents": (b"{}{}", 400, "malformed_json"),
    "byte order mark": (b"\xef\xbb\xbf{}", 400, "malformed_json"),
    "not JSON": (b"text=a", 400, "malformed_json"),
    "2 MB": (b" " * (2 << 20), 413, "body_too_large"),
}


@pytest.mark.parametrize("case", BODIES)
async def test_bad_bodies(client: httpx.AsyncClient, case: str) -> None:
    body, status, code = BODIES[case]
    refused(await client.post("/notes", content=body, headers=JSON), status, code)


@pytest.mark.parametrize(
    "text",
    [
        "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
        "a\N{ZERO WIDTH SPACE}b",
        FAMILY[:2],
        "e" + "\N{COMBINING ACUTE ACCENT}" * 5000,
        "\N{CYRILLIC SMALL LETTER A}da",
        r"\u0000",
    ],
    ids=["bidi", "zero width", "cut emoji", "combining flood", "confusable", "spelt-out NUL"],
)
async def test_odd_but_valid_text_comes_back_unchanged(
    client: httpx.AsyncClient, text: str
) -> None:
    assert (await client.post("/notes", json={"text": text})).json()["text"] == text


async def test_a_hundred_thousand_keys_are_taken(client: httpx.AsyncClient) -> None:
    body = {"metadata": {str(number): 0 for number in range(50_000)}}
    assert (await client.post("/notes", json=body)).status_code == 200


async def test_of_a_key_that_comes_twice_the_last_counts(client: httpx.AsyncClient) -> None:
    answer = await client.post("/notes", content=b'{"count":1,"count":2}', headers=JSON)
    assert answer.json()["count"] == 2


async def test_an_empty_body_is_an_empty_object_where_nothing_is_required(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/notes")).json()["count"] == 0


async def test_an_unknown_choice_is_answered_with_those_that_there_are(
    client: httpx.AsyncClient,
) -> None:
    for answer in (
        await client.post("/notes", json={"kind": "song"}),
        await client.get("/notes", params={"kind": "song"}),
    ):
        refused(answer, 422, "invalid")
        problem = answer.json()
        assert problem["at"] == "$.kind"
        assert problem["expected"].endswith("expected one of: list, note")
        assert "expected one of: list, note" in problem["detail"]


HEADERS: dict[str, tuple[dict[str, str], int, str]] = {
    "no type": ({}, 415, "unsupported_media_type"),
    "form": (
        {"content-type": "application/x-www-form-urlencoded"},
        415,
        "unsupported_media_type",
    ),
    "multipart": (
        {"content-type": "multipart/form-data; boundary=" + "a" * 5000},
        415,
        "unsupported_media_type",
    ),
    "latin-1": (
        {"content-type": "application/json; charset=latin-1"},
        415,
        "unsupported_media_type",
    ),
    "gzip": (JSON | {"content-encoding": "gzip"}, 415, "unsupported_media_type"),
    "length that is none": (JSON | {"content-length": "1_0"}, 413, "body_too_large"),
    "long length": (JSON | {"content-length": "9" * 5000}, 413, "body_too_large"),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_bad_headers(client: httpx.AsyncClient, case: str) -> None:
    headers, status, code = HEADERS[case]
    refused(await client.post("/notes", content=b"{}", headers=headers), status, code)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "application/cloudevents+json", "Application/JSON"]
)
async def test_other_names_of_json(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/notes", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 200


QUERIES: dict[str, tuple[str, int, str]] = {
    "negative limit": ("limit=-1", 422, "invalid"),
    "limit of 10^9": ("limit=1000000000", 422, "invalid"),
    "limit of 5,000 digits": ("limit=" + "9" * 5000, 422, "invalid"),
    "limit of text": ("limit=ten", 422, "invalid"),
    "limit twice": ("limit=1&limit=2", 422, "invalid"),
    "empty limit": ("limit=", 422, "invalid"),
    "type swap": ("limit[]=1", 422, "unknown_parameter"),
    "nested": ("limit[$gt]=1", 422, "unknown_parameter"),
    "NaN": ("share=nan", 422, "invalid"),
    "Infinity": ("share=-Infinity", 422, "invalid"),
    "1e400": ("share=1e400", 422, "invalid"),
    "unknown": ("colour=red", 422, "unknown_parameter"),
    "sort field": ("sort=password", 422, "invalid"),
    "NUL": ("q=%00", 422, "nul_character"),
    "bad UTF-8": ("q=%ff", 400, "malformed"),
    "lone surrogate": ("q=%ed%a0%80", 400, "malformed"),
    "many": ("&".join(["q=1"] * 65), 400, "malformed"),
    "too long": ("q=" + "a" * 10_001, 422, "invalid"),
}


@pytest.mark.parametrize("case", QUERIES)
async def test_bad_queries(client: httpx.AsyncClient, case: str) -> None:
    query, status, code = QUERIES[case]
    refused(await client.get(f"/notes?{query}"), status, code)


@pytest.mark.parametrize("q", ["'; drop table users --", "%", "a:* & !b", "a~2^9", "}) return n"])
async def test_languages_in_a_query_are_text(client: httpx.AsyncClient, q: str) -> None:
    assert (await client.get("/notes", params={"q": q})).json()["q"] == q


PATHS: dict[str, tuple[str, int, str]] = {
    "NUL": ("/notes/a%00b", 404, "no_such_route"),
    "bad UTF-8": ("/notes/%ff", 400, "malformed"),
    "empty": ("/notes/", 404, "no_such_route"),
    "long segment": ("/notes/" + "a" * 257, 404, "no_such_route"),
    "long path": ("/notes/" + "a/" * 2000, 414, "path_too_long"),
    "traversal": ("/notes/%2e%2e%2f%2e%2e%2fetc", 200, ""),
    "token": ("/mine", 401, "unauthenticated"),
}


@pytest.mark.parametrize("case", PATHS)
async def test_bad_paths(client: httpx.AsyncClient, case: str) -> None:
    path, status, code = PATHS[case]
    answer = await client.get(path)
    if status == 200:
        assert answer.json() == {"note": "../../etc"}  # a name like any other: it is no file's
    else:
        refused(answer, status, code)


CREDENTIALS: list[Any] = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YTpi",
    "Bearer a b",
    "Bearer " + "a" * 9000,
]


@pytest.mark.parametrize("authorization", CREDENTIALS)
async def test_bad_credentials(client: httpx.AsyncClient, authorization: str) -> None:
    answer = await client.get("/mine", headers={"authorization": authorization})
    refused(answer, 401, "unauthenticated")
