"""Define the floods of `nova bench attack` as prepared bytes."""

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
    """What each connection sends: an opening, and then one piece for ever.

    With a `greeting` it waits for an answer to its `opening`, and sends that first.
    `connections` are held open at once, and opened again when the server closes them. `in_turn`
    sends one piece after each answer; `every_s` one piece after each such time, however the server
    answers. `hangs_up` closes after each piece.
    """

    opening: bytes = b""
    greeting: bytes | None = None
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


def upgrade(path: str) -> bytes:
    lines = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    }
    return request("GET", path, lines=lines)


SOCKET, PROTOBUF = "/connection/websocket", "/connection/websocket?format=protobuf"
UPGRADE = upgrade(SOCKET)


def on_socket(
    piece: bytes,
    *,
    connections: int = 1,
    first: bytes = b"",
    path: str = SOCKET,
    reads: bool = True,
) -> Flood:
    """Return a flood over WebSockets that begins with the frames `first`."""
    return Flood(
        opening=upgrade(path),
        greeting=first,
        piece=repeated(piece),
        connections=connections,
        reads=reads,
    )


JSON = {"Content-Type": "application/json"}
CHANNEL = "flood:all"
PING_COMMAND = b'{"id":1,"ping":{}}'
NOBODY = msgspec.json.encode({"session": "0" * 32, "node": "", "data": PING_COMMAND.decode()})
FIRST_COMMANDS = "/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D"


def floods(token: str) -> dict[str, Flood]:
    """Return all floods by name; those of a `user` use this token, the others none."""
    return {**_sockets(), **_http(), **_streams(), **_user(token)}


def _sockets() -> dict[str, Flood]:
    ping = frame(b"", PING)
    return {
        "ws_pings": on_socket(ping),
        "ws_long_pings_unread": on_socket(frame(bytes(125), PING), reads=False),
        "ws_pongs": on_socket(frame(b"", PONG)),
        "ws_empty_texts": on_socket(frame(b"")),
        "ws_empty_fragments": on_socket(
            frame(b"", CONTINUATION, final=False), first=frame(b"", final=False)
        ),
        "ws_tiny_fragments": on_socket(
            frame(b" ", CONTINUATION, final=False), first=frame(b"{", final=False)
        ),
        "ws_tiny_commands": on_socket(frame(PING_COMMAND)),
        "ws_empty_lines": on_socket(frame(b"\n" * 60_000)),
        "ws_lines_in_a_frame": on_socket(frame(b"{}\n" * 20_000)),
        "ws_large_binaries": on_socket(frame(bytes(60_000), BINARY)),
        "ws_empty_protobuf_commands": on_socket(frame(bytes(60_000), BINARY), path=PROTOBUF),
        "ws_one_byte_protobuf": on_socket(frame(b"\0", BINARY), path=PROTOBUF),
        "ws_eight_at_once": on_socket(ping, connections=8),
        "ws_handshakes": Flood(piece=UPGRADE, connections=32, in_turn=True, hangs_up=True),
    }


def _http() -> dict[str, Flood]:
    chunked = request("POST", "/v1/events", lines={**JSON, "Transfer-Encoding": "chunked"})
    endless = request("POST", "/v1/events", lines={**JSON, "Content-Length": "1000000"})
    health, mine = request("GET", "/healthz"), request("GET", "/v1/users/me")
    return {
        "http_one_byte_chunks": Flood(opening=chunked, piece=repeated(b"1\r\n \r\n")),
        "http_pipelining": Flood(piece=repeated(health)),
        "http_pipelining_unread": Flood(piece=repeated(mine), reads=False),
        "http_small_requests": Flood(piece=mine, connections=32, in_turn=True),
        "http_headers": Flood(opening=b"GET /healthz HTTP/1.1\r\n", piece=repeated(b"a: b\r\n")),
        "http_one_long_header": Flood(opening=b"GET / HTTP/1.1\r\na: ", piece=repeated(b"b")),
        "http_blank_lines": Flood(piece=repeated(b"\r\n")),
        "http_nothing_of_http": Flood(piece=repeated(b"\x16\x03\x01"), connections=8),
        "http_slow_bodies": Flood(opening=endless, piece=b" ", connections=200, every_s=0.05),
        "http_connections": Flood(piece=health, connections=32, in_turn=True, hangs_up=True),
    }


def _streams() -> dict[str, Flood]:
    stream, bodies = "/connection/http_stream", {**JSON, "Content-Length": "60000"}
    chunked = request("POST", stream, lines={**JSON, "Transfer-Encoding": "chunked"})
    lines = request("POST", stream, b"{}\n" * 15_000, lines=JSON)
    small = request("POST", "/emulation", NOBODY, lines=JSON)
    return {
        "sse": Flood(piece=request("GET", FIRST_COMMANDS), connections=32, in_turn=True),
        "http_stream": Flood(piece=lines, connections=8, in_turn=True),
        "http_stream_slow_bodies": Flood(
            opening=request("POST", stream, lines=bodies), piece=b" ", connections=200, every_s=0.01
        ),
        "http_stream_one_byte_chunks": Flood(opening=chunked, piece=repeated(b"1\r\n \r\n")),
        "emulation": Flood(piece=small, connections=16, in_turn=True),
        "emulation_pipelining": Flood(piece=repeated(small), connections=4),
    }


def _user(token: str) -> dict[str, Flood]:
    """Return what somebody with an account can send."""
    connected, bearer = command(connect={"token": token}), {"Authorization": f"Bearer {token}"}
    listing = command(rpc={"method": "notifications.list", "data": {}})
    publishing = command(publish={"channel": CHANNEL, "data": {}})
    coming = command(subscribe={"channel": CHANNEL}) + command(unsubscribe={"channel": CHANNEL})
    inbox = request("GET", "/v1/notifications", lines=bearer)
    posting = {**JSON, **bearer, "Transfer-Encoding": "chunked"}
    return {
        "user_pings": on_socket(frame(b"{}\n" * 10), first=connected),
        "user_calls": on_socket(listing, first=connected),
        "user_calls_unread": on_socket(listing, first=connected, reads=False),
        "user_publications": on_socket(publishing, first=connected),
        "user_subscriptions": on_socket(coming, first=connected),
        "user_sockets": on_socket(frame(b"", PONG), first=connected, connections=64),
        "user_pipelining": Flood(piece=repeated(inbox)),
        "user_requests": Flood(piece=inbox, connections=32, in_turn=True),
        "user_one_byte_chunks": Flood(
            opening=request("POST", "/v1/posts", lines=posting), piece=repeated(b"1\r\n \r\n")
        ),
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
