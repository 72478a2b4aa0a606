"""Signals: word from a committed transaction to every process, for caches and open sockets.

They come by NOTIFY, at once. Twice a second each process also looks for those that it has not
heard: a connection may be silent, and a NOTIFY may be lost.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from time import monotonic

import msgspec
from structlog import get_logger

from nova.backbone.outbox import SIGNALS
from nova.kernel.errors import Unavailable
from nova.kernel.recent import Recent
from nova.ports.database import Pool, Row

LOOK_S, AGAIN_S = 0.4, 0.05
"""Between two looks, and after one that was not answered."""
POOL_S = 0.3
"""For a look through the pool, where the connection that listens does not answer."""
UNKNOWN_S = 1.0
"""Since the last look that was answered: then nobody knows what was signalled meanwhile."""
KEPT = timedelta(minutes=5)
MOST = 20_000
"""Signals of one look; further ones count as unknown."""

START = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

# Transactions commit out of order, so every look goes back to the oldest that was open at the last.
READ = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin, s.number, s.payload
from (values (1)) as always (one) left join lateral (
    select number, payload from backbone.signals where xact >= $1::text::xid8 limit $2
) s on true
order by s.number
"""

FORGET = """
delete from backbone.signals where ctid = any(array(
    select ctid from backbone.signals where at < now() - $1::interval order by at limit $2))
"""

_log = get_logger()


class Signals:
    """Calls whoever asked, for each signal of any process, this one included."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._calls: dict[str, list[Callable[[str | None], None]]] = defaultdict(list)
        self._when_unknown: list[Callable[[], None]] = []
        self._decode = msgspec.json.Decoder(list[tuple[str, str]]).decode
        self._heard_of: Recent[int, bool] = Recent(4 * MOST)
        self._since = 0
        self._known_at = monotonic()
        self._failed = 0
        """Looks in a row that were not answered."""
        self._is_unknown = False
        self._soon = asyncio.Event()

    def on(self, name: str, call: Callable[[str | None], None]) -> None:
        """Call with the payload of each signal `name`; None: some may be missed, forget all."""
        self._calls[name].append(call)

    def when_unknown(self, call: Callable[[], None]) -> None:
        """Call, again and again, while nobody can know what was signalled."""
        self._when_unknown.append(call)

    async def start(self) -> None:
        self._since = await self._pool.value(START)
        await self._pool.listen(SIGNALS, self._heard)
        self._known_at = monotonic()

    async def turn(self) -> None:
        """Look for what was signalled and not heard, and wait for a while."""
        pause = LOOK_S if await self._look() else AGAIN_S
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._soon.wait()
        self._soon.clear()

    async def _look(self) -> bool:
        asked_at = monotonic()
        try:
            rows = await self._read()
        except Unavailable as refused:
            self._failed += 1
            # After this process was held up, one look that fails says little about all that time.
            if self._failed > 1 and monotonic() - self._known_at > UNKNOWN_S:
                self._unknown(refused)
            return False
        self._failed = 0
        missed = len(rows) > MOST or asked_at - self._known_at > KEPT.total_seconds() / 2
        self._since, self._known_at = rows[0]["xmin"], asked_at
        for row in rows:
            if row["number"] is not None:
                self._take(row["number"], row["payload"])
        if missed:
            self._unknown()
        if self._is_unknown:
            self._is_unknown = False
            _log.info("signals_known_again")
        return True

    async def _read(self) -> Sequence[Row]:
        arguments = (str(self._since), MOST + 1)
        try:
            return await self._pool.fetch_aside(READ, *arguments)
        except Unavailable:
            try:
                async with asyncio.timeout(POOL_S):
                    return await self._pool.fetch(READ, *arguments)
            except TimeoutError:
                raise Unavailable from None

    def _heard(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        if not payload:  # some may be missed: what they are is looked up at once
            self.forget()
            self._soon.set()
            return
        number, _, signals = payload.partition(" ")
        if number.isdecimal():
            self._take(int(number), signals)
        else:  # of another version of Nova, during an upgrade
            self.forget()

    def _take(self, number: int, payload: str) -> None:
        """Tell of signals, unless they were told of."""
        if self._heard_of.get(number):
            return
        self._heard_of.put(number, True)  # a set
        try:
            signals = self._decode(payload)
        except msgspec.DecodeError:
            _log.warning("signal_unreadable", size=len(payload))
            self.forget()
            return
        for name, told in signals:
            for call in self._calls.get(name, ()):
                _safely(call, name, told)

    def forget(self) -> None:
        """Tell every listener that it may have missed some."""
        for name, calls in self._calls.items():
            for call in calls:
                _safely(call, name, None)

    def _unknown(self, refused: Unavailable | None = None) -> None:
        if not self._is_unknown:
            _log.warning("signals_unknown", reason=refused.detail if refused else "too many")
        self._is_unknown = True
        self.forget()
        for call in self._when_unknown:
            call()


def _safely(call: Callable[[str | None], None], name: str, payload: str | None) -> None:
    try:
        call(payload)
    except Exception:  # noqa: BLE001  # one listener's bug must not hide a signal from the others
        _log.exception("signal_listener_failed", signal=name)
