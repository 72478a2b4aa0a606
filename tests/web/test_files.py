"""Files below a path: streamed, in ranges, and nothing that is hidden or elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from nova.web.files import Below, Files, Mount
from nova.web.probes import answer

SIZE = 1 << 20


async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, 200, "text/plain", b"elsewhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "live").mkdir(parents=True)
    (folder / "live" / "part.m4s").write_bytes(bytes(range(256)) * (SIZE // 256))
    (folder / ".secret").write_text("hidden")
    (tmp_path / "outside").write_text("outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    return folder


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Below([Mount("/media/", Files(folder))], elsewhere)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://nova") as client:
        yield client


async def test_a_file_is_served_whole(client: httpx.AsyncClient) -> None:
    got = await client.get("/media/live/part.m4s")
    assert (got.status_code, len(got.content)) == (200, SIZE)
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["x-content-type-options"] == "nosniff"
    again = await client.get("/media/live/part.m4s", headers={"if-none-match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"\0\1\2\3"),
        ("bytes=256-257", 206, b"\0\1"),
        ("bytes=-2", 206, b"\xfe\xff"),
        (f"bytes={SIZE - 1}-", 206, b"\xff"),
        (f"bytes={SIZE}-", 416, None),
        ("bytes=5-2", 400, None),
    ],
)
async def test_a_part_is_served(
    client: httpx.AsyncClient, asked: str, status: int, expected: bytes | None
) -> None:
    got = await client.get("/media/live/part.m4s", headers={"range": asked})
    assert got.status_code == status
    if expected is not None:
        assert got.content == expected


async def test_a_file_that_grows_is_served_as_it_is_now(
    client: httpx.AsyncClient, folder: Path
) -> None:
    with (folder / "live" / "part.m4s").open("ab") as file:
        file.write(b"more")
    got = await client.head("/media/live/part.m4s")
    assert (got.headers["content-length"], got.content) == (str(SIZE + 4), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/media/.secret",
        "/media/live/../.secret",
        "/media/../outside",
        "/media/%2e%2e/outside",
        "/media//etc/passwd",
        "/media/link",
        "/media/live",
        "/media/",
        "/media/none",
        "/media/live/part.m4s%00",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    got = await client.get(httpx.URL("http://nova", raw_path=path.encode()))
    assert got.status_code == 404 or got.text == "elsewhere"
    assert b"outside" not in got.content
    assert b"hidden" not in got.content


async def test_nothing_is_written(client: httpx.AsyncClient) -> None:
    got = await client.put("/media/live/part.m4s", content=b"")
    assert (got.status_code, got.headers["allow"]) == (405, "GET, HEAD")


async def test_what_is_below_no_mount_is_answered_elsewhere(client: httpx.AsyncClient) -> None:
    assert (await client.get("/media")).text == "elsewhere"
    assert (await client.get("/mediate/live/part.m4s")).text == "elsewhere"


@pytest.mark.parametrize("paths", [["media/"], ["/media"], ["/"], ["/a/", "/a/b/"], ["/a/", "/a/"]])
def test_paths_that_are_unclear_are_refused(paths: list[str]) -> None:
    with pytest.raises(ValueError, match=r"mount|slash"):
        Below([Mount(path, elsewhere) for path in paths], elsewhere)
