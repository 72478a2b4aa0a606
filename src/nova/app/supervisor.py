"""Supervisor of several worker processes that serve one address."""

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from time import monotonic

from msgspec import MsgspecError, Struct
from structlog import get_logger

from nova.app.starting import CannotStart
from nova.web.worker_metrics import add_ended

START_S = 120.0
"""In which a worker must be ready."""
BRIEF_S = 5.0
"""A worker that ends sooner than this is started again only after a pause."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
READY = b"1"

_log = get_logger()


class Worker(Struct, eq=False):
    """A worker process, and the link that tells each side when the other has ended."""

    process: asyncio.subprocess.Process
    link: socket.socket
    started: float


class WorkerEnded(Exception):
    """A worker ended before it was ready."""


class Supervisor:
    """Starts workers, replaces those that end, and restarts them one after the other.

    All workers accept connections from one listening socket, so an address always has somebody
    who accepts, and what waits in its backlog waits for any of them. When the supervisor is
    killed, the workers notice by their link, and end as if they were asked to.
    """

    def __init__(
        self, command: Sequence[str], listener: socket.socket, count: int, *, shared: Path
    ) -> None:
        """`command` starts a worker.

        Appended to it are the descriptors of the listener and of the link, and the folder in which
        the workers share their metrics.
        """
        self._command = command
        self._listener = listener
        self._count = count
        self._shared = shared
        self._workers: list[Worker] = []
        self._alive: set[Worker] = set()
        """Those of the slots, and those that they take the place of."""
        self._changing = asyncio.Lock()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, *, ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP restarts the workers one by one.

        A second signal kills the workers. Raises CannotStart when one of the first workers ends
        before it is ready.
        """
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._asked_to_end,
            signal.SIGINT: self._asked_to_end,
            signal.SIGHUP: lambda: self._begin(self._restart_all()),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        starting = asyncio.create_task(self._start_all())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                ready()
                await stopping
        finally:
            tasks = [starting, stopping, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*map(self._end, tuple(self._alive)))
            for number in handlers:
                loop.remove_signal_handler(number)

    def _asked_to_end(self) -> None:
        if self._stop.is_set():
            for worker in self._alive:
                worker.process.kill()
        self._stop.set()

    async def _start_all(self) -> None:
        started = await asyncio.gather(
            *(self._start() for _ in range(self._count)), return_exceptions=True
        )
        for each in started:
            if isinstance(each, BaseException):
                raise CannotStart(f"A worker did not start: {each}") from each
        self._workers = [each for each in started if isinstance(each, Worker)]
        for slot, worker in enumerate(self._workers):
            self._begin(self._watch(slot, worker))

    async def _start(self) -> Worker:
        """Start a worker, and return it once it accepts connections. Raises WorkerEnded."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            descriptors = (self._listener.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *map(str, descriptors),
                str(self._shared),
                pass_fds=descriptors,
                start_new_session=True,  # a Ctrl-C in the terminal is the supervisor's to pass on
            )
        worker = Worker(process, ours, monotonic())
        try:
            async with asyncio.timeout(START_S):
                said = await asyncio.get_running_loop().sock_recv(ours, 1)
        except BaseException:
            process.kill()
            await process.wait()
            ours.close()
            raise
        if said != READY:
            ours.close()
            raise WorkerEnded(f"it ended with status {await process.wait()}; see its output above.")
        self._alive.add(worker)
        _log.info("worker_started", worker=process.pid)
        return worker

    async def _watch(self, slot: int, worker: Worker) -> None:
        """Replace a worker that ends by itself; one that was replaced may end."""
        code = await worker.process.wait()
        self._forget(worker)
        async with self._changing:
            if self._workers[slot] is not worker:
                return
            _log.error("worker_ended", worker=worker.process.pid, code=code)
            pause = 0.0 if monotonic() - worker.started > BRIEF_S else SHORTEST_PAUSE_S
            while True:
                await asyncio.sleep(pause)
                try:
                    await self._replace(slot)
                except (WorkerEnded, TimeoutError, OSError) as reason:
                    _log.error("worker_not_started", reason=str(reason))
                    pause = min(max(2 * pause, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
                else:
                    return

    async def _replace(self, slot: int) -> None:
        worker = await self._start()
        self._workers[slot] = worker
        self._begin(self._watch(slot, worker))

    async def _restart_all(self) -> None:
        """Restart the workers one by one: a new one accepts before the old one is asked to end."""
        async with self._changing:
            for slot in range(self._count):
                old = self._workers[slot]
                try:
                    await self._replace(slot)
                except (WorkerEnded, TimeoutError, OSError) as reason:
                    _log.error("workers_not_restarted", reason=str(reason))
                    return
                await self._end(old)
            _log.info("workers_restarted", workers=self._count)

    async def _end(self, worker: Worker) -> None:
        """Ask a worker to end, and wait until it has."""
        if worker.process.returncode is None:
            worker.process.terminate()
        await worker.process.wait()
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        if worker in self._alive:
            self._alive.remove(worker)
            worker.link.close()
            try:
                add_ended(self._shared, worker.process.pid)
            except (OSError, MsgspecError) as reason:
                _log.error("metrics_not_kept", reason=str(reason))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
