"""POSTs to addresses that others name (push endpoints, webhooks) or that settings name."""

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nova.wire.addresses import Guard, Place, dial, place
from nova.wire.exchange import Header, Reply, Request, Unsent
from nova.wire.origin import Bounds, Origin


def trust(
    ca_file: Path | None = None, *, offer: Sequence[str] = ("h2", "http/1.1")
) -> ssl.SSLContext:
    """Return what outgoing TLS checks certificates by; `ca_file` adds to the machine's own."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(list(offer))
    return context


def origin(
    where: Place,
    *,
    tls: ssl.SSLContext,
    bounds: Bounds,
    guard: Guard | None = None,
    plain: str = "http/1.1",
) -> Origin:
    """Return a client of the server at a place."""
    return Origin(
        where.authority,
        lambda protocol: dial(where, protocol, guard=guard, tls=tls),
        bounds=bounds,
        tls=where.tls,
        plain=plain,
    )


class Outgoing:
    """Clients by origin. Only so many are kept; the longest unused one is closed for a new one."""

    def __init__(
        self,
        *,
        guard: Guard | None,
        tls: ssl.SSLContext,
        bounds: Bounds | None = None,
        origins: int = 256,
    ) -> None:
        """`guard` is None only where every URL comes from our own settings."""
        self._guard = guard
        self._make = partial(origin, tls=tls, bounds=bounds or Bounds(connections=8), guard=guard)
        self._most = origins
        self._origins: dict[tuple[bool, str], Origin] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def post(
        self,
        url: str | Place,
        steady: tuple[Header, ...],
        body: bytes,
        *,
        own: tuple[Header, ...] = (),
        deadline_s: float | None = None,
    ) -> Reply:
        """Return the reply, whatever its status; raises Unsent, Lost, or ForbiddenAddress.

        The deadline spans the wait for a connection, too; of an endless reply the beginning is
        returned.
        """
        where = place(url) if isinstance(url, str) else url
        if self._guard is not None:
            self._guard.check(where)
        client = self._client(where)
        request = Request(path=where.path, steady=steady, own=own, body=body)
        return await client.send(request, deadline_s=deadline_s)

    def _client(self, where: Place) -> Origin:
        key = (where.tls, where.authority)
        client = self._origins.pop(key, None)
        if client is None:
            self._make_room()
            client = self._make(where)
        self._origins[key] = client
        return client

    def _make_room(self) -> None:
        if len(self._origins) < self._most:
            return
        idle = next((key for key, each in self._origins.items() if not each.busy), None)
        if idle is None:
            raise Unsent(f"{self._most} servers are busy already", 1.0)
        # Nobody waits for the goodbye of a connection that nobody used.
        closing = asyncio.get_running_loop().create_task(self._origins.pop(idle).close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        if self._closing:
            await asyncio.wait(self._closing)
        while self._origins:
            _, client = self._origins.popitem()
            await client.close()
