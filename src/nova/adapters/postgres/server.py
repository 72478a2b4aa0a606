"""The postgres process: a direct child that ends when we do."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nova.adapters.postgres.folder import Folder
from nova.adapters.postgres.program import program, reachable_program
from nova.adapters.postgres.refusals import NotStarted
from nova.kernel.child_processes import ends_with_parent

STOP_S = 60.0  # for a fast shutdown, which writes a checkpoint; then it is killed
LOOK_S = 0.05
MOST_WORDS = 100_000  # bytes of its log that are looked at


class Server:
    """Starts and stops PostgreSQL on one folder."""

    def __init__(
        self, folder: Folder, sockets: Path, settings: Mapping[str, str], major: int
    ) -> None:
        self._folder = folder
        self._sockets = sockets
        self._settings = settings
        self._major = major
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0
        if folder.user is None:
            self._programs = program(major)
        else:
            self._programs = reachable_program(major, folder.as_user)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def initialize(self) -> None:
        """Make the data folder beside its final place, then rename: it is whole or absent."""
        fresh = self._folder.home / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self._folder.own(fresh)
        with self._reachable(fresh) as (path, fds):
            done = subprocess.run(  # noqa: S603  # our own program
                [self._programs / "initdb", "-D", path, *_INITDB[self._major]],
                capture_output=True,
                check=False,
                cwd="/",
                env=_environment(),
                pass_fds=fds,
                **self._folder.as_user,
            )
        if done.returncode:
            raise NotStarted(f"initdb failed in {fresh}: {done.stderr.decode(errors='replace')}")
        fresh.rename(self._folder.data)

    def start(self) -> None:
        """Start the process. It must be called by a thread that lives on: the kernel watches it."""
        self._log_begins = self._folder.rotate_log()
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with (
            self._folder.log.open("ab") as log,
            self._reachable(self._folder.data) as (data, data_fds),
            self._reachable(self._sockets) as (sockets, socket_fds),
        ):
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [self._programs / "postgres", "-D", data, "-k", sockets, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
                pass_fds=(*data_fds, *socket_fds),
                preexec_fn=ends_with_parent(signal.SIGINT),  # noqa: PLW1509  # calls the kernel
                **self._folder.as_user,
            )

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def last_words(self) -> str:
        """Return the last thing that the process which was started last has logged."""
        with self._folder.log.open("rb") as log:
            log.seek(self._log_begins)
            lines = log.read(MOST_WORDS).decode(errors="replace").splitlines()
        own = [line for line in lines if f"[{self.pid}]" in line]  # others may linger
        return (own or lines or ["none"])[-1].strip()

    async def exited(self) -> int:
        """Wait for the process, reap it, and return its exit code (a signal's is negative)."""
        while (code := self.exit_code()) is None:  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(LOOK_S)
        return code

    async def stop(self) -> None:
        """Disconnect everybody, write a checkpoint, end."""
        if self._process is None or self.exit_code() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_S):
                await self.exited()
        except TimeoutError:
            self._process.kill()
            await self.exited()

    @contextmanager
    def _reachable(self, path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield a path that PostgreSQL can use, and the descriptors it must inherit for that.

        Another user may be shut out by a folder above, such as /root. An open descriptor
        leads past it, and nobody's permissions need to change.
        """
        if self._folder.user is None:
            yield str(path), ()
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)


_INITDB = {
    16: ("-U", "nova", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"),
    # The built-in locale sorts and folds Unicode alike on every machine, for ever.
    18: (
        *("-U", "nova", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ),
}


# A statement about a thousand rows takes megabytes, and the next one again: a backend keeps them
# instead of giving them back to the kernel each time (mallopt(3)).
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(16 << 20)}


def _environment() -> dict[str, str]:
    """Return ours without PG… variables, which would be taken for settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**_MEMORY, **kept, "LC_ALL": "C", "TZ": "UTC"}
