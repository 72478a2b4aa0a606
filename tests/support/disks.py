"""A disk that is too small: a file system of its own where a folder was, filled by a test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK = 1 << 20


class Disk:
    """A small file system, and the ballast that takes its room."""

    def __init__(self, at: Path) -> None:
        self._ballast = at / "ballast"
        self._at = at

    @property
    def free(self) -> int:
        """In bytes."""
        state = os.statvfs(self._at)
        return state.f_bavail * state.f_frsize

    def fill(self, but: int = 0) -> None:
        """Take all room; leave so many bytes of it."""
        with self._ballast.open("ab", buffering=0) as ballast:
            while (left := self.free - but) > 0:
                ballast.write(b"\0" * min(left, BLOCK))

    def clear(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Move a folder with all that is in it onto a disk of so many megabytes."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir()
    size = f"size={megabytes}m"
    done = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", size, "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"file systems may not be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["/bin/cp", "-a", f"{aside}/.", folder], check=True)
        shutil.rmtree(aside)
        yield Disk(folder)
    finally:
        subprocess.run(["/bin/umount", "--lazy", folder], check=True)
