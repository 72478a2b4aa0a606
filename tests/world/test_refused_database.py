"""A database that was given and cannot be used: where, why and what to do, without a password."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from nova.adapters.postgres.embedded import embedded
from nova.adapters.postgres.pool import open_pool
from nova.adapters.postgres.reaching import OLDEST
from support.deployment import Deployment, deployed

GIVEN = "s3cr3t"
WANTS_PASSWORDS = "local all nova trust\nlocal all all scram-sha-256\n"
ROLES = """
create role guest login password 'right';
create role nobody_else login password 's3cr3t';
create database visited;
revoke connect on database visited from public;
"""


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The options of an address at which a server asks everybody but `nova` for a password."""
    folder = tmp_path_factory.mktemp("guarded")
    async with embedded(folder) as running, open_pool(running.dsn, size=1) as pool:
        (folder / "postgres/data/pg_hba.conf").write_text(WANTS_PASSWORDS)
        await pool.value("select pg_reload_conf()")
        for statement in ROLES.strip().split("\n"):
            await pool.run(statement)
        yield urlsplit(running.dsn).query


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path) as deployment:
        yield deployment


async def refused(stopped: Deployment, address: str) -> str:
    """Start Nova on a database that it cannot use, and return what it says."""
    status, said = await stopped.run("serve", "--database", address)
    assert (status, "Traceback" in said) == (1, False), said
    assert GIVEN not in said
    assert len(said.splitlines()) == 1, said
    return said


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("127.0.0.1:1/nova", "Connection refused. Check that PostgreSQL runs there"),
        ("nowhere.invalid/nova", "not known. Check that PostgreSQL runs there"),
    ],
)
async def test_a_server_that_is_not_there(stopped: Deployment, where: str, why: str) -> None:
    said = await refused(stopped, f"postgresql://ada:{GIVEN}@{where}?password={GIVEN}")
    assert f"The database at postgresql://ada@{where} cannot be reached: " in said
    assert why in said


@pytest.mark.parametrize(
    ("who", "why", "way"),
    [
        ("guest@postgres", "password authentication failed", "Check the user and the password"),
        ("stranger@postgres", "password authentication failed", "Check the user and"),
        ("nova@absent", 'database "absent" does not exist', "Create that database"),
        ("nobody_else@visited", "permission denied for database", "Let the user connect"),
        ("nobody_else@postgres", "may not create schemas", "Make it the owner"),
    ],
)
async def test_a_server_that_does_not_let_nova_in(
    stopped: Deployment, guarded: str, who: str, why: str, way: str
) -> None:
    user, _, database = who.partition("@")
    said = await refused(stopped, f"postgresql://{user}:{GIVEN}@/{database}?{guarded}")
    assert why in said
    assert way in said


async def test_a_role_that_does_not_exist(stopped: Deployment, server_dsn: str) -> None:
    stranger = re.sub(r"//[^/]*@", f"//stranger:{GIVEN}@", server_dsn)
    said = await refused(stopped, stranger)
    assert 'role "stranger" does not exist. Create that role' in said


async def test_an_address_whose_password_is_not_escaped(stopped: Deployment) -> None:
    said = await refused(stopped, f"postgresql://ada:{GIVEN}/more@db/nova")
    assert "written %2F" in said


async def test_a_server_of_another_age(stopped: Deployment, server_dsn: str) -> None:
    async with aged(server_dsn, stopped.data.parent, OLDEST - 1) as address:
        said = await refused(stopped, address)
    assert f"is a PostgreSQL {OLDEST - 1}, and Nova needs {OLDEST} or later. Upgrade it" in said


@asynccontextmanager
async def aged(dsn: str, folder: Path, major: int) -> AsyncIterator[str]:
    """Yield the address of a server that says it is of this version."""
    parts = urlsplit(dsn)
    socket = parse_qs(parts.query).get("host", [""])[0]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = await (
            asyncio.open_unix_connection(f"{socket}/.s.PGSQL.5432")
            if socket
            else asyncio.open_connection(parts.hostname, parts.port)
        )
        await asyncio.gather(passed(reader, theirs[1]), passed(theirs[0], writer))

    async def passed(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(re.sub(rb"(server_version\0)\d\d", rb"\g<1>%d" % major, data))
        target.close()

    async with await asyncio.start_unix_server(relay, folder / ".s.PGSQL.5432"):
        yield f"postgresql://{parts.netloc.rpartition('@')[0]}@{parts.path}?host={folder}"
