"""Node, and the packages that a folder of tests has locked."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def node_with_packages(folder: Path) -> str:
    """Return the path of Node once the folder's packages are installed, by one worker for all."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs node and npm")
        pytest.skip("node and npm are not installed")
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / ".package-lock.json").exists():  # written at the end
            subprocess.run(  # npm
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                cwd=folder,
                check=True,
            )
    return node
