"""Provider tokens that all processes share without talking to one another.

Apple counts how often a team's token changes (once in 20 minutes at most), however many processes
send. So a token's `iat` is a boundary of the wall clock, and its signature is deterministic (RFC
6979): every process mints the same bytes.
"""

from nova.kernel.clock import Clock
from nova.wire.exchange import Header
from nova.wire.jws import ec_key, es256

PERIOD_S = 45 * 60
LAG_S = 60
"""How far a token's `iat` lies in the past at least, so that no clock of Apple's is behind it."""
RENEWALS_S = 20 * 60


def issued_at(now: float) -> int:
    """Return the boundary that is in force, in epoch seconds: 1 to 46 minutes ago."""
    return int((now - LAG_S) // PERIOD_S) * PERIOD_S


class Tokens:
    """Mints the token of a team."""

    def __init__(self, key: str, *, key_id: str, team_id: str, clock: Clock) -> None:
        """`key` is the text of Apple's .p8 file; raises BadKey."""
        self._key = ec_key(key)
        self._key_id, self._team_id = key_id, team_id
        self._clock = clock
        self._issued = 0
        self._valid_until = 0.0
        self._renewed_at = 0.0
        self._header: Header = (b"authorization", b"")

    def header(self) -> Header:
        """Return the Authorization header; the same object while the token holds."""
        now = self._clock.now().timestamp()
        if now >= self._valid_until:
            issued = issued_at(now)
            self._mint(issued, issued + LAG_S + PERIOD_S)
        return self._header

    def renew(self, expired: Header) -> bool:
        """Mint one as of this second, since Apple called `expired` expired; False if too often.

        It holds until the next boundary, and is not shared: clocks that are this wrong are rare.
        """
        if self._header is not expired:
            return True  # somebody did so meanwhile
        now = self._clock.now().timestamp()
        if now - self._renewed_at < RENEWALS_S:
            return False
        self._renewed_at = now
        self._mint(int(now), now + PERIOD_S)
        return True

    def _mint(self, issued: int, until: float) -> None:
        token = es256(self._key, {"kid": self._key_id}, {"iss": self._team_id, "iat": issued})
        self._header = (b"authorization", b"bearer " + token)
        self._valid_until = until
