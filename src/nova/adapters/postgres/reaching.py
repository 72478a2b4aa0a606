"""Why PostgreSQL cannot be used, told at the start: where, the reason, and the way out."""

import os
from socket import gaierror
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

OLDEST = 15
"""The first major version that has what Nova's SQL asks for."""
_HARMLESS = {"host", "port", "user", "dbname", "database", "sslmode"}
_ELSEWHERE = "or name another server in the setting 'database'."
_WAYS = {
    "28P01": "Check the user and the password in the setting 'database'.",
    "28000": "Create that role, or let it in with the server's pg_hba.conf.",
    "3D000": "Create that database, owned by the user, or name another one at the address's end.",
    "42501": "Let the user connect to that database, or make it the database's owner.",
    "53300": "Raise the server's max_connections, or lower postgres.connections.",
    "57P03": "Try again once it has started.",
}


def shown(dsn: str) -> str:
    """Return an address as it may be shown: without anything that could be a password."""
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # a slash or the like in a password moves all that follows
        return "the address of the setting 'database'"
    user = f"{quote(parts.username, safe='')}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2] if "," in parts.netloc else (parts.hostname or "") + port
    options = [each for each in parse_qsl(parts.query) if each[0] in _HARMLESS]
    query = f"?{urlencode(options, safe='/')}" if options else ""
    return f"{parts.scheme}://{user}{host}{parts.path}{query}"


def unreached(dsn: str, wrong: Exception, within_s: float) -> str:
    """Say why a first connection failed."""
    where = f"The database at {shown(dsn)} cannot be reached"
    if not isinstance(wrong, OSError) and isinstance(wrong, ValueError):
        return (
            f"{where}: its address cannot be read. It is written postgresql://user:password@host:"
            "port/database, with characters such as / : @ in a password written %2F %3A %40."
        )
    way = _WAYS.get(getattr(wrong, "sqlstate", None) or "")
    way = way or f"Check that PostgreSQL runs there and is reached from here, {_ELSEWHERE}"
    return f"{where}: {_reason(wrong, within_s)}. {way}"


def too_old(dsn: str, major: int) -> str | None:
    """Say so when a server is older than Nova needs."""
    if major >= OLDEST:
        return None
    return (
        f"The database at {shown(dsn)} is a PostgreSQL {major}, and Nova needs {OLDEST} or later. "
        f"Upgrade it, {_ELSEWHERE}"
    )


def _reason(wrong: Exception, within_s: float) -> str:
    if isinstance(wrong, TimeoutError):
        return f"no answer within {within_s:g} s"
    if isinstance(wrong, OSError) and wrong.errno and not isinstance(wrong, gaierror):
        return os.strerror(wrong.errno)  # asyncio's own words repeat the address
    told = getattr(wrong, "strerror", None) or str(wrong) or type(wrong).__name__
    return str(told).partition("\n")[0].rstrip(".")  # below are details for the administrator
