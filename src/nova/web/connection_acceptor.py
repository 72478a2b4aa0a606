"""Accept new connections, a few per turn of the event loop, and reject them without descriptors."""

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from structlog import get_logger

from nova.kernel.errors import Refused
from nova.web import file_descriptors
from nova.web.connections import PROBES, GuardedProtocol, raw
from nova.web.event_loop_budget import OPENING, LoopBudget
from nova.web.problems import Overloaded

BACKLOG = 2048
AT_LEAST, AT_MOST = 4, 64
"""Connections taken in one turn, however busy it is; the others wait in the kernel's backlog."""
PAUSE_S = 0.1
"""For how long nobody is accepted when there is no descriptor for it."""
NOTED_EVERY_S = 60.0
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Made = Callable[[Refused | None], GuardedProtocol]
"""Makes the protocol of a connection, which refuses everything but probes if it is to."""


class Acceptor:
    """Accepts from one listener, while the process has descriptors to spare.

    The kernel gives the lowest descriptor that is free, so the number of a new one tells how
    many are in use. From the limit less the reserve on, connections are answered 503, once they
    asked; from half of the reserve on, each takes the place of one that asked nothing yet.
    """

    def __init__(self, listener: socket.socket, made: Made, budget: LoopBudget) -> None:
        self._listener = listener
        self._made = made
        self._budget = budget
        self._refused: deque[GuardedProtocol] = deque(maxlen=file_descriptors.MOST_RESERVED)
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
        for count in range(AT_MOST):
            if count >= AT_LEAST and self._budget.used_up:
                return
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
            if _gone(accepted):
                self._budget.spend(1)
                accepted.close()
            else:
                self._budget.spend(OPENING)
                self._take(accepted)
            if self._paused is not None:
                return

    def _take(self, accepted: socket.socket) -> None:
        most = file_descriptors.limit()
        reserved = file_descriptors.reserve(most)
        refusal: Refused | None = None
        if accepted.fileno() >= most - reserved:
            refusal = Overloaded("Nova has no file descriptors to spare.", retry_after=1.0)
            self._note("as many connections are open as the limit of descriptors allows")
            half = accepted.fileno() >= most - reserved // 2
            if half and not self._make_room() and not _probes(accepted):
                _refuse(accepted, refusal)
                return
        task: asyncio.Task[object] = self._loop.create_task(self._open(accepted, refusal))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, refusal: Refused | None) -> None:
        try:
            _, protocol = await self._loop.connect_accepted_socket(
                lambda: self._made(refusal), accepted
            )
            if refusal is not None:
                self._refused.append(protocol)
        except OSError:  # it went away meanwhile
            accepted.close()

    def _make_room(self) -> bool:
        """Turn away who asked nothing for longest, of those that are refused anyway."""
        while self._refused:
            if self._refused.popleft().give_way():
                return True
        return False

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
                limit=file_descriptors.limit(),
                in_use=file_descriptors.in_use(),
                fix="raise the limit of open files (ulimit -n, LimitNOFILE=)",
            )


def _probes(accepted: socket.socket) -> bool:
    try:
        _, path, *_ = accepted.recv(64, socket.MSG_PEEK).split(b" ", 2)
    except (OSError, ValueError):
        return False
    return path in PROBES


def _refuse(accepted: socket.socket, refusal: Refused) -> None:
    """Answer and hang up, at the cost of nothing that stays."""
    with suppress(OSError):
        accepted.send(raw(refusal))
        accepted.shutdown(socket.SHUT_WR)
        accepted.recv(65_536)  # closed with bytes unread, the client might not hear why
    accepted.close()


def _gone(accepted: socket.socket) -> bool:
    """Return whether the client hung up again without a word: that needs no protocol."""
    try:
        return not accepted.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
