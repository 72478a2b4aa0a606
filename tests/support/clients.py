"""Clients of HTTP, WebSockets and the Python SDK that wait as long as a busy machine needs."""

from typing import Any

import centrifuge
import httpx
from websockets.asyncio.client import connect

from support.waiting import SOON_S


def http_client(url: str = "", **more: Any) -> httpx.AsyncClient:
    """Return a client whose requests go to this address; `more` are further arguments of httpx."""
    return httpx.AsyncClient(base_url=url, timeout=SOON_S, **more)


def websocket(url: str, **more: Any) -> connect:
    """Return what opens a socket; it asks for no pong, so that a slow server keeps it."""
    return connect(url, open_timeout=SOON_S, close_timeout=SOON_S, ping_interval=None, **more)


def sdk(url: str, token: str, **more: Any) -> centrifuge.Client:
    return centrifuge.Client(url, token=token, timeout=SOON_S, max_server_ping_delay=SOON_S, **more)
