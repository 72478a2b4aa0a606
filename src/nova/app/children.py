"""Programs that features run beside this process."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, Process

from structlog import get_logger

from nova.feature import ChildProcess
from nova.kernel.child_processes import ends_with_parent

AGAIN_S = 1.0
"""After its end, a program is started again so much later."""
ENDING_S = 10.0
"""For so long a program may take to end when it is asked to."""


class Child:
    """Runs one program; `turn` is to be repeated for ever, and ends the program when cancelled."""

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self._log = get_logger()

    async def turn(self) -> None:
        """Start the program and wait for its end."""
        process = await asyncio.create_subprocess_exec(
            *self._child.command,
            stdin=DEVNULL,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # calls the kernel only
        )
        try:
            code = await process.wait()
        finally:
            await _ended(process)
        self._log.warning("child_process_ended", child=self._child.name, code=code)
        await asyncio.sleep(AGAIN_S)


async def _ended(process: Process) -> None:
    """Ask a program to end, and end it if it does not."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(ENDING_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
