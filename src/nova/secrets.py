"""Secrets that the first start makes up: no default secret exists anywhere."""

import os
import secrets
from pathlib import Path

FILE = "secrets.toml"
SERVER_KEY = "server.key"
"""Holds the first server key in clear, for the operator; the database holds its digest."""


def ensure(data: Path) -> Path:
    """Return the file of generated secrets in the data folder, written (0600) if missing."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / FILE
    write_once(
        path,
        "# Generated at the first start. Whoever reads this file can act as any user.\n"
        "[tokens]\n"
        f'secret = "{secrets.token_hex(32)}"\n'
        f'signing_secret = "{secrets.token_hex(32)}"\n',
    )
    return path


def server_key(data: Path) -> str:
    """Return the first server key; made up if need be, and kept (0600) for the operator."""
    path = key_file(data)
    write_once(path, f"nova_sk_{secrets.token_urlsafe(32)}\n")
    return path.read_text("ascii").strip()


def key_file(data: Path) -> Path:
    """Return where the first server key is kept."""
    return data / SERVER_KEY


def forget_server_key(data: Path) -> None:
    """Remove a server key that was made up and counts nowhere."""
    key_file(data).unlink(missing_ok=True)


def write_once(path: Path, text: str) -> bool:
    """Write a file that only its owner may read, unless it exists; return whether it was written.

    Two processes that start at once agree on one of the two texts, and neither reads half.
    """
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
