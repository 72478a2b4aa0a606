"""The open sockets of this process, by id, user, address and secret."""

import asyncio
import random
from collections import Counter
from math import ceil
from uuid import UUID

from structlog import get_logger

from nova.kernel.clock import Clock
from nova.web.actors import User
from nova.web.realtime.codes import Closing
from nova.web.realtime.session import Session
from nova.web.realtime.socket_limits import BOUNDS, Limits, TooManySockets

NOTED_EVERY_S = 60.0
STEP_S = 0.05
"""Between two shares of sockets, when all are closed."""


class Registry:
    """Finds sessions, and counts those that are one too many."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.sessions: dict[str, Session] = {}
        self.users: dict[UUID, set[Session]] = {}
        self.refused: Counter[str] = Counter()
        """Sockets that were one too many, by whose: an address's, a user's, or the process's."""
        self._limits = limits
        self._clock = clock
        self._addresses: Counter[str] = Counter()
        self._noted: dict[str, float] = {}
        self._secrets: dict[str, Session] = {}

    def admit(self, address: str) -> None:
        """Raise TooManySockets when an address has as many as it may."""
        if address and self._addresses[address] >= self._limits.per_address:
            self._refuse("address", address)
            raise TooManySockets(retry_after=10.0)

    def crowds(self, user: User) -> bool:
        """Whether a user has as many sockets as one may; strangers count by address alone."""
        crowded = len(self.of(user.id)) >= self._limits.per_user
        if crowded and not user.is_stranger:
            self._refuse("user", str(user.id))
            return True
        return False

    def add(self, session: Session) -> bool:
        """Add a session; return whether there is room for it."""
        self._addresses[session.address] += 1
        self.sessions[session.id] = session
        if session.secret:
            self._secrets[session.secret] = session
        if len(self.sessions) <= self._limits.connections:
            return True
        self._refuse("process", session.address)
        return False

    def enter(self, session: Session, user: User) -> None:
        """The session has said who it is."""
        self.users.setdefault(user.id, set()).add(session)

    def remove(self, session: Session) -> None:
        if self.sessions.pop(session.id, None) is not None:
            self._addresses[session.address] -= 1
            if not self._addresses[session.address]:
                del self._addresses[session.address]
        self._secrets.pop(session.secret, None)
        if session.user is not None:
            theirs = self.users.get(session.user.id, set())
            theirs.discard(session)
            if not theirs:
                self.users.pop(session.user.id, None)

    def find(self, secret: str) -> Session | None:
        return self._secrets.get(secret)

    def of(self, user: UUID) -> tuple[Session, ...]:
        """Return the sessions of a user."""
        return tuple(self.users.get(user, ()))

    async def close_all(self, closing: Closing, seconds: float) -> None:
        """Close all sockets, spread over `seconds`."""
        sessions = list(self.sessions.values())
        random.shuffle(sessions)
        steps = max(1, round(seconds / STEP_S))
        share = max(1, ceil(len(sessions) / steps))
        for start in range(0, len(sessions), share):
            for session in sessions[start : start + share]:
                session.close(closing)
            await asyncio.sleep(STEP_S)

    def _refuse(self, whose: str, name: str) -> None:
        """Count a socket that is one too many; log it, once a minute."""
        self.refused[whose] += 1
        now = self._clock.monotonic()
        if now - self._noted.get(whose, float("-inf")) >= NOTED_EVERY_S:
            self._noted[whose] = now
            get_logger().warning("sockets_refused", whose=whose, name=name, setting=BOUNDS[whose])
