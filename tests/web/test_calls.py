"""A call does, in every language, what it says: it is run, and Nova's answer comes back."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from nova.web.calls import HERE, LANGUAGES, Typed
from support.programs import run

BODY = {
    "none": None,
    "flags": [True, False],
    "text": 'it\'s "quoted", $HOME `pwd` ${x} \\ é\n',
    "deep": {"empty": {}, "list": [], "number": 1.5},
}


class Heard(msgspec.Struct):
    """A request as it came."""

    method: str
    path: str
    authorization: str | None
    kind: str | None
    body: Any


@contextmanager
def listening() -> Iterator[tuple[str, list[Heard]]]:
    """Yield an address, and the requests that it hears."""
    heard: list[Heard] = []

    class Ear(BaseHTTPRequestHandler):
        def _hear(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"] or 0))
            kind = self.headers["content-type"]
            body = msgspec.json.decode(raw) if raw else None
            heard.append(Heard(self.command, self.path, self.headers["authorization"], kind, body))
            self.send_response(200)
            self.send_header("content-length", "7")
            self.end_headers()
            self.wfile.write(b"heard\xc3\xa9")

        do_GET = do_POST = do_PUT = do_DELETE = _hear  # noqa: N815  # the library's names

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            Typed("GET", "/v1/users/{user}/posts", is_signed=True),
            Heard("GET", "/v1/users/me/posts", "Bearer nova_sk_x", None, None),
        ),
        (
            Typed("POST", "/v1/events", is_signed=True, body=BODY),
            Heard("POST", "/v1/events", "Bearer nova_sk_x", "application/json", BODY),
        ),
        (Typed("DELETE", "/v1/a", is_signed=False), Heard("DELETE", "/v1/a", None, None, None)),
    ],
    ids=["reads", "writes", "is public"],
)
async def test_a_call_asks_what_it_says(
    language: str, call: Typed, expected: Heard, tmp_path: Path
) -> None:
    with listening() as (address, heard):
        text = LANGUAGES[language](call).replace(HERE, address)
        assert (await run(language, text, tmp_path, TOKEN="nova_sk_x")).strip() == "heardé"
    assert heard == [expected]
