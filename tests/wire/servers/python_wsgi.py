"""A webhook of Python's wsgiref."""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import make_server


def webhook(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"o"
    yield b"k"


server = make_server("127.0.0.1", 0, webhook)
print(server.server_port, flush=True)
server.serve_forever()
