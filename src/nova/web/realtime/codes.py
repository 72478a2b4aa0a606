"""Error and disconnect codes, with the numbers that the SDKs know.

Errors answer a command; the connection stays. Disconnects end it: the SDKs come back
after codes below 3500 and from 4000 to 4499, and stay away after the others.
"""

from typing import NamedTuple

from nova.web.realtime.messages import Disconnect, Error

INTERNAL = Error(code=100, message="internal server error", temporary=True)
UNAUTHORIZED = Error(code=101, message="unauthorized")
UNKNOWN_CHANNEL = Error(code=102, message="unknown channel")
PERMISSION_DENIED = Error(code=103, message="permission denied")
METHOD_NOT_FOUND = Error(code=104, message="method not found")
ALREADY_SUBSCRIBED = Error(code=105, message="already subscribed")
LIMIT_EXCEEDED = Error(code=106, message="limit exceeded")
BAD_REQUEST = Error(code=107, message="bad request")
NOT_AVAILABLE = Error(code=108, message="not available")
TOKEN_EXPIRED = Error(code=109, message="token expired")
EXPIRED = Error(code=110, message="expired")
TOO_MANY_REQUESTS = Error(code=111, message="too many requests", temporary=True)
UNRECOVERABLE = Error(code=112, message="unrecoverable position")


class Closing(NamedTuple):
    """Why the server ends a connection."""

    code: int
    reason: str

    @property
    def reconnect(self) -> bool:
        """Whether the client is to come back."""
        return self.code < FIRST_TERMINAL or FIRST_OF_APPS <= self.code < FIRST_TERMINAL_OF_APPS

    @property
    def is_silent(self) -> bool:
        """Whether the connection ends without a word, as if the network had cut it.

        That is what the code means to the SDKs: no advice of the server's.
        """
        return self.code == NORMAL.code

    @property
    def message(self) -> Disconnect:
        return Disconnect(code=self.code, reason=self.reason, reconnect=self.reconnect)


FIRST_TERMINAL = 3500
FIRST_OF_APPS = 4000
"""From here on, codes are the app's own."""
FIRST_TERMINAL_OF_APPS = 4500
NORMAL = Closing(3000, "connection closed")
SHUTDOWN = Closing(3001, "shutdown")
SERVER_ERROR = Closing(3004, "internal server error")
CONNECTION_EXPIRED = Closing(3005, "connection expired")
SLOW = Closing(3008, "slow")
INSUFFICIENT_STATE = Closing(3010, "insufficient state")
FORCE_RECONNECT = Closing(3011, "force reconnect")
NO_PONG = Closing(3012, "no pong")
FLOODING = Closing(3013, "too many requests")
FULL = Closing(3100, "no room")
INVALID_TOKEN = Closing(3500, "invalid token")
MALFORMED = Closing(3501, "bad request")
STALE = Closing(3502, "stale")
FORCE_NO_RECONNECT = Closing(3503, "force disconnect")
CONNECTION_LIMIT = Closing(3504, "connection limit")
FORBIDDEN = Closing(3507, "permission denied")

UNSUBSCRIBED = 2000
"""Code of an unsubscribe push after which the SDKs do not subscribe again; nor up to 2499."""
UNSUBSCRIBED_EXPIRED = 2501
"""Code of an unsubscribe push after which the SDKs ask for a new subscription token."""


class Failed(Exception):
    """A command that is answered with an error."""

    def __init__(self, error: Error) -> None:
        self.error = error


class Ended(Exception):
    """A command after which the connection ends."""

    def __init__(self, closing: Closing) -> None:
        self.closing = closing
