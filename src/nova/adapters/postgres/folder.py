"""The data folder of the embedded server: who has it, who owns it, where its socket is.

<data>/postgres.lock   locked by the process that runs the server; holds its pid
<data>/postgres.dsn    the address, while the server runs
<data>/postgres.log    what PostgreSQL has to say
<data>/postgres/data   PostgreSQL's own folder, beside its socket
"""

import fcntl
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from nova.adapters.postgres.refusals import CannotEmbed, FolderInUse, OtherVersion

USERS = ("postgres", "nobody")  # whom PostgreSQL runs as when Nova runs as root
LONGEST_PATH = 107  # bytes of a socket's path (unix(7)), without the final zero
SHORT = "nova-"  # begins the name of a socket's folder below TMPDIR
SOCKET = ".s.PGSQL.5432"
LOG_BYTES = 10_000_000  # a larger log is put aside as postgres.log.1 at the next start


class Folder:
    """Paths below a data folder, and the user that PostgreSQL runs as."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.home = self.path / "postgres"
        self.data = self.home / "data"
        self.dsn_file = self.path / "postgres.dsn"
        self.log = self.path / "postgres.log"
        self.user = _user(self.data)

    @property
    def as_user(self) -> dict[str, Any]:
        """Arguments of subprocess that start a program as that user; none when it is ours."""
        if self.user is None:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.home.mkdir(exist_ok=True, mode=0o700)
        self.own(self.home)

    def own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the kernel lets go of it however we end."""
        lock = os.open(self.path / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 20, 0).decode() or "unknown"
                raise FolderInUse(
                    f"{self.path} is in use by process {holder}; stop that one, or choose "
                    "another folder with `data`."
                ) from None
            os.truncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    def check_version(self, major: int) -> bool:
        """Tell whether there is data. Raises OtherVersion when it is of another major version."""
        file = self.data / "PG_VERSION"
        if not file.exists():
            return False
        found = file.read_text("utf-8").strip()
        if found != str(major):
            raise OtherVersion(
                f"{self.data} was written by PostgreSQL {found}, and this Nova brings "
                f"PostgreSQL {major}. Move it over as docs/how-to/upgrade-postgresql.md tells, "
                f"or start a version of Nova that brings PostgreSQL {found}."
            )
        return True

    @contextmanager
    def socket_folder(self) -> Iterator[Path]:
        """Yield where the socket goes: beside the data, or somewhere short if that is too long."""
        if len(os.fsencode(self.home / SOCKET)) <= LONGEST_PATH:
            yield self.home
            return
        self._clear_away_short()
        short = Path(tempfile.mkdtemp(prefix=SHORT))
        self.own(short)
        try:
            if len(os.fsencode(short / SOCKET)) > LONGEST_PATH:
                raise CannotEmbed(
                    f"The path of a socket may have {LONGEST_PATH} bytes, and both {self.home} "
                    f"and {short} are too long; set TMPDIR to a short path."
                )
            yield short
        finally:
            shutil.rmtree(short, ignore_errors=True)

    def _clear_away_short(self) -> None:
        """Remove the short folder of a Nova that was killed; we hold the lock, so it is gone."""
        if self.dsn_file.exists():
            former = Path(unquote(self.dsn_file.read_text("utf-8").partition("host=")[2]))
            if former.parent == Path(tempfile.gettempdir()) and former.name.startswith(SHORT):
                shutil.rmtree(former, ignore_errors=True)

    def write_dsn(self, dsn: str) -> None:
        temporary = self.dsn_file.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(dsn)
        temporary.replace(self.dsn_file)

    def rotate_log(self) -> int:
        """Put a large log aside; return the size of the one that is there now, in bytes."""
        size = self.log.stat().st_size if self.log.exists() else 0
        if size > LOG_BYTES:
            self.log.replace(self.log.with_name("postgres.log.1"))
            return 0
        return size


def address(socket_folder: Path) -> str:
    return f"postgresql://nova@/postgres?host={quote(str(socket_folder), safe='')}"


def _user(data: Path) -> pwd.struct_passwd | None:
    """Return whom to run PostgreSQL as, or None for ourselves. PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    for name in USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotEmbed(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it "
        "as; add one, or start Nova as another user."
    )
