"""A server that runs on this machine: what it answers to the doctor's questions."""

import re
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import msgspec
from msgspec import Struct

from nova import secrets
from nova.settings import Settings

ASKED_S = 5.0
MOST_METRICS = 4 << 20
"""Bytes read of a server's metrics."""

_SAMPLE = re.compile(r"^(\w+)(?:\{\w+=\"(\w+)\"\})? (\S+)$", re.MULTILINE)


class Ready(Struct, frozen=True):
    """What `/readyz` says."""

    status: str = ""
    checks: dict[str, str] = {}


class RunningServer(Struct, frozen=True):
    """What was asked of the address of the settings, and what it answered."""

    address: str
    ready: Ready | None
    """None: no Nova answers there."""
    metrics: dict[tuple[str, str], float]
    """By name and the value of the only label, if there is one; empty when it does not say."""

    def metric(self, name: str, label: str = "") -> float | None:
        return self.metrics.get((name, label))


def asked(settings: Settings) -> RunningServer:
    """Ask the server of these settings whether it is ready, and for its metrics."""
    host, port = reached(settings.http.host), settings.http.port
    address = f"http://{host}:{port}"
    ready = _ready(f"{address}/readyz") if port else None
    return RunningServer(address, ready, _metrics(settings, host, port) if ready else {})


def reached(host: str) -> str:
    """Return the address by which a server on this machine is reached."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nothing is bound
    return f"[{host}]" if ":" in host else host


def _ready(url: str) -> Ready | None:
    with suppress(OSError, HTTPException, msgspec.MsgspecError):
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=ASKED_S) as answer:
                return msgspec.json.decode(answer.read(65_536), type=Ready)
        except HTTPError as unready:
            with unready:
                return msgspec.json.decode(unready.read(65_536), type=Ready)
    return None


def _metrics(settings: Settings, host: str, port: int) -> dict[tuple[str, str], float]:
    """Return the metrics without labels, or with one; nothing where they are not shown to us."""
    key = secrets.key_file(settings.data)
    connection = HTTPConnection(host, port, timeout=ASKED_S)
    with suppress(OSError, HTTPException, ValueError):
        try:
            headers = {"Authorization": f"Bearer {key.read_text('ascii').strip()}"}
        except OSError:
            headers = {}
        try:
            connection.request("GET", "/metrics", headers=headers)
            said = connection.getresponse().read(MOST_METRICS).decode()
            return {(name, label): float(value) for name, label, value in _SAMPLE.findall(said)}
        finally:
            connection.close()
    return {}
