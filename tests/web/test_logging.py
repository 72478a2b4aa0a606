"""No secret reaches the log, whichever way it went in."""

import logging as standard
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgspec
import pytest
import structlog
from structlog import get_logger

from nova.web import logging
from nova.web.actors import Rule
from nova.web.routes import Call, Route
from support.http import People, api_client, bearer

CANARY = "c4n4ry0123456789"
JWT = f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.sig-{CANARY}"
KEY = f"nova_sk_{CANARY}"


@pytest.fixture
def log() -> Iterator[BytesIO]:
    root = standard.getLogger()
    before = (root.handlers, root.level)
    stream = BytesIO()
    logging.configure(stream=stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


class Terminal(BytesIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(log: BytesIO, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    logging.configure(stream=stream)
    return stream


def lines(log: BytesIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in log.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(log: BytesIO) -> None:
    get_logger().info("thing_happened", count=3, name="é\n")
    (line,) = lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "thing_happened", "level": "info", "count": 3, "name": "é\n"}


def test_a_terminal_shows_lines_that_people_read(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_logger().warning("thing_happened", count=3, name="Ada L", why="late")
    line = terminal.getvalue().decode()
    assert re.fullmatch(r"\x1b\[2m\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\x1b\[0m .*\n", line)
    assert "\x1b[33mwarning" in line
    assert line.endswith('thing_happened\x1b[0m count=3 name="Ada L" why=late\n')
    monkeypatch.setenv("NO_COLOR", "1")
    logging.configure(stream=terminal)
    get_logger().warning("thing_happened")
    assert "\x1b" not in terminal.getvalue().decode().splitlines()[-1]


def test_the_setting_decides_over_the_terminal(terminal: Terminal, log: BytesIO) -> None:
    logging.configure(stream=terminal, form="json")
    get_logger().info("thing_happened")
    assert lines(terminal)[0]["event"] == "thing_happened"
    logging.configure(stream=log, form="text")
    get_logger().info("thing_happened", count=3)
    assert log.getvalue().endswith(b"info     thing_happened count=3\n")


def test_what_is_logged_cannot_write_a_line_or_move_the_cursor(terminal: Terminal) -> None:
    bad = "a\nb\x1b[2Jc\x9bd\u202ee\r"
    get_logger().error(bad, **{"n\x1b[1m": bad}, path=bad, exc_info=ValueError(bad))
    said = terminal.getvalue().decode()
    own = re.sub(r"\x1b\[(?:0|1|2|31)m", "", said)
    assert all(each.isprintable() or each == "\n" for each in own)
    assert [line[:4] for line in own.splitlines()[1:]] == ["    "] * (len(own.splitlines()) - 1)


def test_secrets_are_blotted_out_in_a_terminal_too(terminal: Terminal) -> None:
    get_logger().warning("odd", token=CANARY, url=f"/x?token={CANARY}")
    assert CANARY.encode() not in terminal.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": f"Bearer {CANARY}"},
        {"token": CANARY},
        {"refresh_token": CANARY},
        {"secret": CANARY},
        {"api_key": CANARY},
        {"key": CANARY},
        {"password": CANARY},
        {"headers": {"Authorization": CANARY, "Cookie": CANARY}},
        {"url": f"/connect?token={CANARY}&a=1"},
        {"url": f"postgresql://nova:{CANARY}@db/nova"},
        {"url": f"https://nova.example/x?a=1&access_token={CANARY}"},
        {"url": f"/connection/sse?cf_connect={CANARY}"},
        {"url": f"/x?webhook_secret={CANARY}&session={CANARY}"},
        {"link": f"https://nova.example/v1/unsubscribe/{CANARY}"},
        {"endpoint": f"https://push.example/send/{CANARY * 3}"},
        {"endpoint": f"https://push.example/send/%3d{CANARY * 3}?x=1"},
        {"path": f"/v1/user/ada/devices/{CANARY}:APA91b{CANARY * 3}"},
        {"path": f"/V1/UNSUBSCRIBE/{CANARY}"},
        {"path": f"/v1/unsubscribe//{CANARY}"},
        {"path": f"/x;token={CANARY}"},
        {"what": f"sent Bearer {CANARY}"},
        {"what": [f"it was {JWT}", (KEY,)]},
        {"raw": KEY.encode()},
        {"error": ValueError(KEY)},
    ],
    ids=str,
)
def test_secrets_are_blotted_out(log: BytesIO, fields: dict[str, Any]) -> None:
    get_logger().warning("odd", **fields)
    assert CANARY.encode() not in log.getvalue()
    assert b"[redacted]" in log.getvalue()


def test_libraries_log_the_same_way(log: BytesIO) -> None:
    standard.getLogger("asyncpg").error("refused %s", KEY)
    (line,) = lines(log)
    assert line["logger"] == "asyncpg"
    assert CANARY not in line["event"]


async def test_a_bug_is_logged_once_without_the_credentials(log: BytesIO) -> None:
    async def fails(call: Call[Any, Any]) -> None:
        raise RuntimeError(f"could not use {JWT}")

    route = Route(method="GET", path="/f", rule=Rule.PUBLIC, handler=fails, summary="")
    async with api_client([route], People(JWT)) as client:
        answer = await client.get(f"/f?token={CANARY}", headers=bearer(JWT))
        assert answer.status_code == 422
        answer = await client.get("/f", headers=bearer(JWT))
    (line,) = lines(log)
    assert (line["event"], line["trace_id"]) == ("request_failed", answer.json()["trace_id"])
    assert "RuntimeError" in line["exception"]
    assert CANARY not in str(line)


async def test_requests_are_logged_when_asked_for(log: BytesIO) -> None:
    async def fine(call: Call[Any, Any]) -> None:
        return None

    route = Route(method="GET", path="/fine", rule=Rule.PUBLIC, handler=fine, summary="")
    for access_log in (False, True):
        async with api_client([route], access_log=access_log) as client:
            await client.get("/fine", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    (line,) = lines(log)
    assert (line["event"], line["path"], line["status"]) == ("request", "/fine", 204)
    assert (line["client"], line["trace_id"]) == ("127.0.0.1", "a" * 32)


async def test_the_access_log_shows_no_secret_of_a_path_or_query(log: BytesIO) -> None:
    async def opened(call: Call[Any, Any]) -> None:
        if call.path.get("token") == "broken":
            raise RuntimeError("broken")

    routes = [
        Route(method="GET", path=path, rule=Rule.PUBLIC, handler=opened, summary="")
        for path in ("/links/{token}", "/users/{name}")
    ]
    async with api_client(routes, access_log=True) as client:
        await client.get(f"/links/{CANARY}?token={CANARY}&x={CANARY}")
        await client.get("/links/broken")
        await client.get(f"/links/{CANARY}{CANARY}{CANARY}/more")
        await client.get("/users/ada")
    assert CANARY not in log.getvalue().decode()
    assert [line["path"] for line in lines(log) if "path" in line] == [
        "/links/{token}",
        "/links/{token}",
        "/links/{token}",
        "/links/[redacted]/more",
        "/users/ada",
    ]
