"""The floods that `nova bench attack` sends: bytes prepared beforehand, one entry a flood."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

PIECE = 65_536
"""Bytes of a prepared piece, about; a flooder sends it over and over."""
MASK = bytes(4)
"""A mask of zeros is a mask (RFC 6455 5.3), and costs nothing."""
CONTINUATION, TEXT, BINARY, PING, PONG = 0x0, 0x1, 0x2, 0x9, 0xA
FINAL = 0x80
SHORT, LONG = 126, 65_536


class Flood(Struct, frozen=True):
    """What each connection sends: `opening` once, then `piece` for ever.

    `connections` are held open at once, and opened again when the server closes them. `in_turn`
    sends one piece after each answer; `every_s` one piece after each such time, however the server
    answers. `hangs_up` closes after each piece.
    """

    opening: bytes = b""
    piece: bytes = b""
    connections: int = 1
    in_turn: bool = False
    every_s: float = 0.0
    hangs_up: bool = False
    reads: bool = True


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """Return a client's WebSocket frame."""
    size = len(payload)
    if size < SHORT:
        length = bytes([0x80 | size])
    elif size < LONG:
        length = bytes([0x80 | SHORT]) + size.to_bytes(2)
    else:
        length = bytes([0xFF]) + size.to_bytes(8)
    return bytes([opcode | (FINAL if final else 0)]) + length + MASK + payload


def repeated(unit: bytes) -> bytes:
    return unit * max(1, PIECE // len(unit))


def request(
    method: str, path: str, body: bytes | None = None, *, lines: Mapping[str, str] | None = None
) -> bytes:
    """Return a request; `lines` are header lines besides those that it needs."""
    head = {"Host": "localhost", **(lines or {})}
    if body is not None:
        head["Content-Length"] = str(len(body))
    text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode() + (body or b"")


def command(**parts: Any) -> bytes:
    return frame(msgspec.json.encode({"id": 1, **parts}))


UPGRADE = request(
    "GET",
    "/connection/websocket",
    lines={
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    },
)
JSON = {"Content-Type": "application/json"}
CHUNKED = request("POST", "/v1/events", lines={**JSON, "Transfer-Encoding": "chunked"})
ENDLESS = request("POST", "/v1/events", lines={**JSON, "Content-Length": "1000000"})
ENDLESS_STREAM = request(
    "POST", "/connection/http_stream", lines={**JSON, "Content-Length": "60000"}
)
COMMANDS = frame(b'{"id":1,"ping":{}}')
NOBODY = msgspec.json.encode({"session": "0" * 32, "node": "", "data": '{"id":1,"ping":{}}'})


def on_socket(piece: bytes, connections: int = 1, first: bytes = b"") -> Flood:
    return Flood(opening=UPGRADE + first, piece=repeated(piece), connections=connections)


def floods(token: str) -> dict[str, Flood]:
    """Return all floods by name; those named `user_` use the token of a user, the others none."""
    connected = command(connect={"token": token})
    bearer = {"Authorization": f"Bearer {token}"}
    return {
        "ws_pings": on_socket(frame(b"", PING)),
        "ws_empty_texts": on_socket(frame(b"")),
        "ws_empty_fragments": on_socket(
            frame(b"", CONTINUATION, final=False), first=frame(b"", final=False)
        ),
        "ws_tiny_commands": on_socket(COMMANDS),
        "ws_pongs": on_socket(frame(b"", PONG)),
        "ws_lines_in_a_frame": on_socket(frame(b"{}\n" * 20_000)),
        "ws_large_binaries": on_socket(frame(bytes(60_000), BINARY)),
        "ws_eight_at_once": on_socket(frame(b"", PING), connections=8),
        "ws_handshakes": Flood(piece=UPGRADE, connections=32, in_turn=True, hangs_up=True),
        "http_one_byte_chunks": Flood(opening=CHUNKED, piece=repeated(b"1\r\n \r\n")),
        "http_pipelining": Flood(piece=repeated(request("GET", "/healthz"))),
        "http_pipelining_unread": Flood(
            piece=repeated(request("GET", "/v1/users/me")), reads=False
        ),
        "http_small_requests": Flood(
            piece=request("GET", "/v1/users/me"), connections=32, in_turn=True
        ),
        "http_headers": Flood(opening=b"GET /healthz HTTP/1.1\r\n", piece=repeated(b"a: b\r\n")),
        "http_blank_lines": Flood(piece=repeated(b"\r\n")),
        "http_slow_bodies": Flood(opening=ENDLESS, piece=b" ", connections=200, every_s=0.05),
        "http_connections": Flood(
            piece=request("GET", "/healthz"), connections=32, in_turn=True, hangs_up=True
        ),
        "sse": Flood(
            piece=request(
                "GET", "/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D"
            ),
            connections=32,
            in_turn=True,
        ),
        "http_stream": Flood(
            piece=request("POST", "/connection/http_stream", b"{}\n" * 15_000, lines=JSON),
            connections=8,
            in_turn=True,
        ),
        "http_stream_one_byte_at_a_time": Flood(
            opening=ENDLESS_STREAM, piece=b" ", connections=200, every_s=0.01
        ),
        "emulation": Flood(
            piece=request("POST", "/emulation", NOBODY, lines=JSON), connections=16, in_turn=True
        ),
        "user_commands": on_socket(
            frame(b'{"id":2,"rpc":{"method":"notifications.list","data":{}}}'), first=connected
        ),
        "user_pings": on_socket(frame(b"{}\n" * 10), first=connected),
        "user_pipelining": Flood(piece=repeated(request("GET", "/v1/notifications", lines=bearer))),
    }


def bad_credentials(forged: str) -> dict[str, Flood]:
    """Return what a stranger sends to guess credentials; `forged` is a token that nobody signed."""

    def asks(bearer: str) -> Flood:
        lines = {"Authorization": f"Bearer {bearer}"}
        return Flood(piece=request("GET", "/v1/users/me", lines=lines), connections=4, in_turn=True)

    return {
        "token": asks(forged),
        "server_key": asks("nova_sk_" + "0" * 43),
        "nothing": Flood(piece=request("GET", "/v1/users/me"), connections=4, in_turn=True),
        "socket": Flood(
            opening=UPGRADE,
            piece=command(connect={"token": forged}),
            connections=4,
            in_turn=True,
            hangs_up=True,
        ),
    }
