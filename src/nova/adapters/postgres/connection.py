"""One connection to PostgreSQL, as Nova wants them all."""

import socket
from collections.abc import Mapping

import asyncpg
from msgspec import Struct

from nova.adapters.postgres import arrays

NOTHING = "select"  # not "", on which asyncpg fails
CACHED_STATEMENTS = 1_000  # per connection; the least recently used is prepared again


KEEPALIVE = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 3,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 5_000,
}
"""An idle connection is asked after 10 s of silence; what was sent is to arrive within 5 s (in ms).

Without, a statement on a connection that a firewall forgot waits until its own timeout.
"""


class Line(Struct, frozen=True, kw_only=True):
    """How to connect, and the bounds that hold on every connection."""

    dsn: str
    connect_s: float = 5.0
    statement_timeout_s: float = 10.0
    lock_timeout_s: float = 1.0
    idle_in_transaction_s: float = 30.0
    unanswered_s: float = 2.0
    """Beyond the statement timeout: then the server or the network is gone."""
    application_name: str = "nova"

    @property
    def settings(self) -> Mapping[str, str]:
        """Sent with the first packet, so that connections need no statement of their own."""
        return {
            "application_name": self.application_name,
            "statement_timeout": _ms(self.statement_timeout_s),
            "lock_timeout": _ms(self.lock_timeout_s),
            "idle_in_transaction_session_timeout": _ms(self.idle_in_transaction_s),
            "default_transaction_isolation": "read committed",
            "timezone": "UTC",
            "jit": "off",  # costs more than it saves in statements of a millisecond
        }


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is untyped here
    """A connection that is given back as it is: nothing in Nova changes session state."""

    @property
    def server_pid(self) -> int:
        """The process id of its backend; 0 once it is closed, or is just being given up."""
        return 0 if self.is_closed() else self.get_server_pid()

    def get_reset_query(self) -> str:
        return ""


async def connect(line: Line) -> Connection:
    """Open a connection. Raises faults.CONNECTING."""
    connection: Connection = await asyncpg.connect(
        line.dsn,
        connection_class=Connection,
        timeout=line.connect_s,
        command_timeout=line.statement_timeout_s + line.unanswered_s,
        statement_cache_size=CACHED_STATEMENTS,
        max_cached_statement_lifetime=0,
        server_settings=dict(line.settings),
    )
    for name, encode, decode in (("json", _utf8, bytes), ("jsonb", _jsonb, _from_jsonb)):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=encode, decoder=decode, format="binary"
        )
    arrays.register(connection)
    _notice_silence(connection)
    return connection


def _notice_silence(connection: Connection) -> None:
    """Have the kernel end a connection whose other side is gone without a word."""
    line = connection._transport.get_extra_info("socket")  # noqa: SLF001  # asyncpg offers no option
    if line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):  # Linux has all
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _utf8(json: str | bytes) -> bytes:
    return json.encode() if isinstance(json, str) else json


def _jsonb(json: str | bytes) -> bytes:
    return b"\x01" + _utf8(json)  # the version of jsonb's binary format


def _from_jsonb(data: bytes) -> bytes:
    return data[1:]
