"""The wall clock of a whole machine, as a server and its PostgreSQL see it, moved by a test."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

needs_faketime = pytest.mark.skipif(
    LIBRARY is None and not os.environ.get("CI"), reason="faketime is not installed"
)


class WallClock:
    """What time it is for programs that run in its `environment`; durations stay as they are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._ahead = timedelta()
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.jump(timedelta())

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def jump(self, by: timedelta) -> None:
        self._ahead += by
        new = self._file.with_suffix(".new")  # it is read at any time, and then whole
        new.write_text(f"{self._ahead.total_seconds():+}\n")
        new.replace(self._file)


@contextmanager
def wall_clock() -> Iterator[WallClock]:
    """Yield a clock; its file is where the user that runs PostgreSQL can read it, too."""
    with tempfile.TemporaryDirectory(prefix="nova-clock-") as folder:
        Path(folder).chmod(0o755)
        yield WallClock(Path(folder))
