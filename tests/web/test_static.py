"""The site's files, and no others."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nova.web.static import Site
from support.http import api_client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    site = tmp_path / "site"
    (site / "demo").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Nova</h1>")
    (site / "demo" / "index.html").write_text("demo")
    (site / "app.js").write_text("let a = 1")
    (site / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "folder").symlink_to(tmp_path)
    async with api_client([], fallback=Site(site)) as client:
        yield client


async def test_files_come_with_their_type_and_a_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.text) == (200, "<h1>Nova</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "require-trusted-types-for 'script'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/demo/")).text == (await client.get("/demo")).text == "demo"
    assert (await client.get("/app.js")).headers["content-type"].startswith("text/javascript")


async def test_a_file_that_did_not_change_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/app.js")).headers["etag"]
    again = await client.get("/app.js", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


async def test_head_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/app.js")
    assert (answer.headers["content-length"], answer.content) == ("9", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/demo/../../secret.txt",
        "//etc/passwd",
        "/link.txt",
        "/folder/secret.txt",
        "/.hidden",
        "/app.js%00.txt",
        "/app.js%0d%0aa:b",
        "/nothing",
    ],
)
async def test_nothing_else_is_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_route")


async def test_files_are_only_read(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/app.js")).headers["allow"] == "GET, HEAD"


async def test_the_page_of_a_folder_inside_can_be_the_home(tmp_path: Path) -> None:
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "index.html").write_text("console")
    async with api_client([], fallback=Site(tmp_path, home="console")) as client:
        assert (await client.get("/")).text == "console"


def test_a_folder_given_by_mistake_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"a" * 100)
    with pytest.raises(ValueError, match="more than 99"):
        Site(tmp_path, most_bytes=99)
