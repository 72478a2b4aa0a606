"""Acceptor: takes new connections a few per turn, and refuses them while descriptors are short."""

import asyncio
import errno
import socket
from collections.abc import Callable

from structlog import get_logger

from nova.kernel.errors import Refused
from nova.web import descriptors
from nova.web.loop_budget import LoopBudget
from nova.web.problems import Overloaded

BACKLOG = 2048
AT_ONCE = 16
"""Connections of one turn."""
COST = 4
"""What a connection takes from the loop's budget."""
PAUSE_S = 0.1
"""For how long nobody is accepted when there is no descriptor for it."""
NOTED_EVERY_S = 60.0
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Made = Callable[[Refused | None], asyncio.Protocol]
"""Makes the protocol of a connection, which refuses everything but probes if it is to."""


class Acceptor:
    """Accepts from one listener, while the process has descriptors to spare.

    The kernel gives the lowest descriptor that is free, so the number of a new one tells how
    many are in use. From the limit less the reserve on, connections are answered 503; half of
    the reserve may hear that at a time, and further ones wait in the backlog.
    """

    def __init__(self, listener: socket.socket, made: Made, budget: LoopBudget) -> None:
        self._listener = listener
        self._made = made
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self._noted = float("-inf")

    def start(self) -> None:
        """Listen. Raises OSError when another process does so at the address."""
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept nobody any more; to close twice does nothing."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.fileno())
        if self._paused is not None:
            self._paused.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Return; here because uvicorn waits for servers."""

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as reason:
                if reason.errno not in _SHORT:
                    raise
                self._note(str(reason))
                self._pause()
                return
            accepted.setblocking(False)
            self._take(accepted)
            self._budget.spend(COST)
            if self._budget.used_up or self._paused is not None:
                return

    def _take(self, accepted: socket.socket) -> None:
        most = descriptors.limit()
        reserved = descriptors.reserve(most)
        refusal: Refused | None = None
        if accepted.fileno() >= most - reserved:
            refusal = Overloaded("Nova has no file descriptors to spare.", retry_after=1.0)
            self._note("as many connections are open as the limit of descriptors allows")
            if accepted.fileno() >= most - reserved // 2:
                self._pause()
        task: asyncio.Task[object] = self._loop.create_task(self._open(accepted, refusal))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, refusal: Refused | None) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._made(refusal), accepted)
        except OSError:  # it went away meanwhile
            accepted.close()

    def _pause(self) -> None:
        """Leave further connections in the backlog for a moment: trying again at once is a spin."""
        if self._paused is None:
            self._loop.remove_reader(self._listener.fileno())
            self._paused = self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _note(self, reason: str) -> None:
        """Log that connections are refused, once a minute."""
        now = self._loop.time()
        if now - self._noted >= NOTED_EVERY_S:
            self._noted = now
            get_logger().warning(
                "descriptors_short",
                reason=reason,
                limit=descriptors.limit(),
                in_use=descriptors.in_use(),
                fix="raise the limit of open files (ulimit -n, LimitNOFILE=)",
            )
