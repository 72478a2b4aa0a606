"""Tasks that never end: their errors are logged and counted, and they go on."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

from nova.kernel.errors import Unavailable

_log = get_logger()
TOLD_EVERY_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class Tasks:
    """Runs turns of work for ever, each in a task of its own, until closed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures = Counter(
            "nova_task_failures",
            "Turns of a background task that failed; the task went on.",
            ["task"],
            registry=registry,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[str, float] = {}
        """When which reason to wait was logged; one of each code."""

    def forever(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._repeat(name, turn), name=name))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _tell(self, name: str, refused: Unavailable) -> None:
        """Log a line a minute, of the first: in an outage, all tasks wait for the same."""
        now = monotonic()
        if now >= self._told.get(refused.code, -TOLD_EVERY_S) + TOLD_EVERY_S:
            self._told[refused.code] = now
            _log.warning("task_waits", task=name, reason=refused.code, detail=refused.detail)

    async def _repeat(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        failures = self._failures.labels(name)
        pause = _FIRST_PAUSE_S
        while not _is_cancelled():  # a turn that failed on its way out has lost the CancelledError
            try:
                await turn()
                pause = _FIRST_PAUSE_S
                continue
            except Unavailable as refused:
                self._tell(name, refused)
            except Exception:  # noqa: BLE001  # the edge of a task
                _log.exception("task_failed", task=name)
                failures.inc()
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                # What the turn waited for was cancelled, not this task: a job that lost its lease.
                _log.warning("task_cut_off", task=name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


def _is_cancelled() -> bool:
    """Tell whether the running task is asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
