"""Subscription tokens, as commands present them."""

from typing import Protocol

from nova.kernel.errors import Unauthenticated
from nova.web.actors import User
from nova.web.auth import Subscription as Ticket
from nova.web.realtime import codes
from nova.web.realtime.codes import Failed
from nova.web.tokens import TokenExpired


class Tickets(Protocol):
    """Verifies subscription tokens (nova.web.auth.Auth)."""

    async def subscription(self, token: str) -> Ticket: ...


class OpenedTickets:
    """Verifies subscription tokens for a user and a channel."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    async def open(self, user: User, channel: str, token: str) -> Ticket:
        """Return what a token says. Raises Failed if it is not for this user and this channel."""
        try:
            opened = await self._tickets.subscription(token)
        except TokenExpired as expired:
            raise Failed(codes.TOKEN_EXPIRED) from expired
        except Unauthenticated as wrong:
            raise Failed(codes.PERMISSION_DENIED) from wrong
        if opened.channel != channel or opened.user != user.id:
            raise Failed(codes.PERMISSION_DENIED)
        return opened
