"""Signals: word from a committed transaction to every process, for caches and open sockets."""

from collections import defaultdict
from collections.abc import Callable

import msgspec
from structlog import get_logger

from nova.backbone.outbox import SIGNALS
from nova.ports.database import Pool

_log = get_logger()


class Signals:
    """Calls whoever asked, for each signal of any process, this one included."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._calls: dict[str, list[Callable[[str | None], None]]] = defaultdict(list)
        self._decode = msgspec.json.Decoder(list[tuple[str, str]]).decode

    def on(self, name: str, call: Callable[[str | None], None]) -> None:
        """Call with the payload of each signal `name`; None: some may be missed, forget all."""
        self._calls[name].append(call)

    async def start(self) -> None:
        await self._pool.listen(SIGNALS, self._heard)

    def _heard(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        if not payload:
            self.forget()
            return
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


def _safely(call: Callable[[str | None], None], name: str, payload: str | None) -> None:
    try:
        call(payload)
    except Exception:  # noqa: BLE001  # one listener's bug must not hide a signal from the others
        _log.exception("signal_listener_failed", signal=name)
