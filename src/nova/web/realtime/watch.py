"""Sockets do not outlive the right to them: what a signal about credentials does to them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol
from uuid import UUID

from nova.kernel.errors import Refused
from nova.kernel.ids import parse_id
from nova.web.realtime.codes import INVALID_TOKEN
from nova.web.realtime.hub import Hub


class Standings(Protocol):
    """Whether a user may still connect."""

    async def admitted(self, user: UUID) -> bool: ...


class Watch:
    """Listens to the signals `revoked` (a token, or `user:<id>:<time>`) and `user` (an id)."""

    def __init__(self, hub: Hub, standings: Standings) -> None:
        self._hub = hub
        self._standings = standings
        self._tasks: set[asyncio.Task[None]] = set()

    def on_revoked(self, payload: str | None) -> None:
        if payload is None:  # what it was is looked up, and told
            return
        if payload.startswith("user:"):
            user = parse_id(payload.split(":")[1])
            if user is not None:
                self._hub.disconnect_user(user, INVALID_TOKEN)
        else:
            self._hub.disconnect_token(payload)

    def on_unknown(self) -> None:
        """Have every client connect anew: nobody knows whether it still may."""
        self._start(self._hub.recheck())

    def on_user(self, payload: str | None) -> None:
        user = parse_id(payload) if payload else None
        if user is not None and self._hub.registry.of(user):
            self._start(self._check(user))

    def _start(self, check: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(check)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, user: UUID) -> None:
        try:
            admitted = await self._standings.admitted(user)
        except Refused:
            admitted = False  # unknown; the client reconnects, and is asked then
        if not admitted:
            self._hub.disconnect_user(user, INVALID_TOKEN)
