"""Circuit breaker: refuse callers at once while the database does not answer."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from structlog import get_logger

from nova.adapters.postgres.ear import Ear
from nova.adapters.postgres.faults import unavailable

SUSPECT_S = 0.08
"""After so long without any answer while somebody waits for one, the server is asked for one."""
PROBE_S = 0.12
"""It did not answer by then, nor anybody else: it hangs. Callers are refused within SUSPECT_S and
this, below the quarter of a second that a refusal may take."""
TIMES_USUAL, LONGEST_PROBE_S = 10, 1.0
"""Where answers usually take long, such as on a machine that is short of processors, the probe
waits for this many times as long: slow is not hung."""
FIRST_USUAL_S, STARTING_S = 0.1, 3.0
"""A server that starts is slow: that long, nothing is judged, and then what is usual is learned."""
CONCERN_S = 0.1
"""An answer that took longer counts as this long in what is usual."""
BUSY_S = 0.15
"""It answers, but no connection comes free for so long: those who wait for one are refused."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
"""Between probes while it is open."""


class Watched(Protocol):
    """The pool, as its breaker sees it."""

    @property
    def opening(self) -> int:
        """How many connections are being opened."""

    def oldest(self) -> float | None:
        """Return since when the oldest of those waits who wait for an answer or a connection."""

    def refuse_all(self, detail: str | None) -> None:
        """Refuse those who wait for a connection."""

    def cut_all(self) -> None:
        """Give up every connection, and with them the statements that wait for an answer."""


class Breaker:
    """Closed, it costs a statement two reads of the clock; open, one probe at a time closes it.

    Whether the database hangs is judged by whether anything gets answered: a statement may take
    as long as it likes while another connection, the listener's, is answered.
    """

    def __init__(
        self, pool: Watched, ear: Ear, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.is_open = False
        self.opened = 0
        """How often."""
        self.refused = 0
        """Callers refused while open."""
        self.answered_at = 0.0
        self._usual_s = FIRST_USUAL_S
        self._judges_from: float | None = None
        self._pool = pool
        self._ear = ear
        self._spawn = spawn
        self._timer: asyncio.TimerHandle | None = None
        self._probing = False
        self._log = get_logger()

    @property
    def state(self) -> str:
        if not self.is_open:
            return "closed"
        return "half-open" if self._probing else "open"

    def check(self) -> None:
        """Refuse the caller while it is open."""
        if self.is_open:
            self.refused += 1
            raise unavailable("The database does not answer.")

    def began(self) -> None:
        """Somebody waits for an answer, or for a connection, from now on."""
        if self._timer is None and not self._probing and self._ear.started:
            self._arm(SUSPECT_S)
            if self._judges_from is None:
                self._judges_from = asyncio.get_running_loop().time() + STARTING_S

    def answered(self, begun: float) -> None:
        """Somebody who asked then has an answer, be it an error."""
        self.answered_at = asyncio.get_running_loop().time()
        took = min(self.answered_at - begun, CONCERN_S)
        self._usual_s += (took - self._usual_s) / 16

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._suspect)

    def _suspect(self) -> None:
        self._timer = None
        since = self._pool.oldest()
        if since is None or self._probing:
            return
        early = (self._judges_from or 0.0) - asyncio.get_running_loop().time()
        silent = self._silent(since)
        if early > 0:
            self._arm(early)
        elif silent < SUSPECT_S:
            self._arm(SUSPECT_S - silent)
        else:
            self._probing = True
            self._spawn(self._probe())

    def _silent(self, since: float) -> float:
        return asyncio.get_running_loop().time() - max(since, self.answered_at)

    async def _probe(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        patience = min(max(PROBE_S, TIMES_USUAL * self._usual_s), LONGEST_PROBE_S)
        try:
            alive = await self._ear.answers(patience) or self.answered_at > asked_at
        finally:
            self._probing = False
        if not alive:
            await self._open()
        elif (since := self._pool.oldest()) is not None:
            if self._silent(since) > BUSY_S and not self._pool.opening:
                self._pool.refuse_all("The database is busy.")
            self._arm(SUSPECT_S)

    async def _open(self) -> None:
        self.is_open = True
        self.opened += 1
        self._log.warning("database_hangs", answered_s_ago=self._ago())
        self._pool.refuse_all("The database does not answer.")
        self._pool.cut_all()
        pause = FIRST_PAUSE_S
        while not await self._half_open():
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause = min(pause * 2, LONGEST_PAUSE_S)
        self.is_open = False
        self._log.info("database_answers_again")

    async def _half_open(self) -> bool:
        self._probing = True
        try:
            return await self._ear.answers(LONGEST_PAUSE_S)
        finally:
            self._probing = False

    def _ago(self) -> float:
        return round(asyncio.get_running_loop().time() - self.answered_at, 3)
