# ruff: noqa: ASYNC221, ASYNC240  # nothing else runs on the loop meanwhile
import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from nova.adapters.postgres.embedded import Embedded, attach, embedded
from nova.adapters.postgres.folder import LONGEST_PATH, Folder
from nova.adapters.postgres.pool import open_pool
from nova.adapters.postgres.program import MAJOR, program, reachable_program
from nova.adapters.postgres.refusals import CannotEmbed, FolderInUse, NotStarted, OtherVersion
from nova.ports.database import DatabaseUnavailable
from support.postgres import PACKAGE
from support.waiting import until

WRITER = Path(__file__).parents[1] / "support" / "embedded_writer.py"
KILLS = 3

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextmanager
def writer(folder: Path, *, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.Popen(
        [sys.executable, WRITER, folder, *([str(user)] if user else [])],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd="/",
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def count(dsn: str, sql: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()


async def ended(pid: int) -> None:
    await until(lambda: not alive(pid))


async def restarted(server: Embedded, times: int) -> None:
    await until(lambda: server.restarts == times)


async def more(acknowledged: list[int]) -> None:
    before = len(acknowledged)
    await until(lambda: len(acknowledged) > before + 50)


async def test_it_is_made_on_the_first_start_and_keeps_its_rows_for_the_next(
    tmp_path: Path,
) -> None:
    for expected in (0, 1):
        async with embedded(tmp_path) as server:
            connection = await asyncpg.connect(server.dsn)
            await connection.execute("create table if not exists kept ()")
            await connection.close()
            assert await count(server.dsn, "select count(*) from kept") == expected
            await count(server.dsn, "insert into kept default values returning 1")
            assert await count(server.dsn, "show server_version_num") // 10_000 == MAJOR
            assert server.pid
        assert not alive(server.pid)


async def test_rows_acknowledged_before_postgres_is_killed_are_there_when_it_is_back(
    tmp_path: Path,
) -> None:
    acknowledged: list[int] = []
    async with embedded(tmp_path) as server, open_pool(server.dsn) as pool:
        await pool.run("create table written (id bigint primary key)")

        async def write(first: int) -> None:
            for number in range(first, first + 1_000_000):
                try:
                    await pool.run("insert into written values ($1)", number)
                except DatabaseUnavailable:
                    continue
                acknowledged.append(number)

        writers = [asyncio.ensure_future(write(lane * 1_000_000)) for lane in range(4)]
        for kill in range(1, KILLS + 1):
            await more(acknowledged)
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            await restarted(server, kill)
        await more(acknowledged)
        for each in writers:
            each.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        stored = {row["id"] for row in await pool.fetch("select id from written")}
    assert set(acknowledged) <= stored


async def test_a_killed_nova_takes_postgres_along_and_loses_nothing_acknowledged(
    tmp_path: Path,
) -> None:
    acknowledged = 0
    for _ in range(KILLS):
        with writer(tmp_path) as process:
            assert process.stdout
            pid = int(process.stdout.readline())
            for _ in range(50):
                acknowledged = int(process.stdout.readline())
            process.kill()
            lines = process.stdout.read().splitlines()
            acknowledged = int(lines[-1]) if lines and lines[-1] else acknowledged
        await ended(pid)
    async with embedded(tmp_path) as server:
        assert await count(server.dsn, "select max(id) from written") >= acknowledged
        assert await count(server.dsn, "select max(id) - count(*) from written") == 0


async def test_a_second_process_is_refused_and_told_who_has_the_folder(tmp_path: Path) -> None:
    async with embedded(tmp_path):
        with pytest.raises(FolderInUse, match=rf"in use by process {os.getpid()}"):
            async with embedded(tmp_path):
                pass


async def test_data_of_another_major_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async with embedded(tmp_path, major=16) as server:
        assert await count(server.dsn, "show server_version_num") // 10_000 == 16
    with pytest.raises(OtherVersion, match=r"PostgreSQL 16.*upgrade-postgresql\.md"):
        async with embedded(tmp_path):
            pass


async def test_a_command_attaches_to_the_server_that_runs_and_to_no_other(tmp_path: Path) -> None:
    assert await attach(tmp_path) is None
    async with embedded(tmp_path) as server:
        assert await attach(tmp_path) == server.dsn
        left_behind = (tmp_path / "postgres.dsn").read_text()
    assert await attach(tmp_path) is None
    (tmp_path / "postgres.dsn").write_text(left_behind)
    assert await attach(tmp_path) is None


async def test_a_long_path_gets_its_socket_somewhere_short(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"
    async with embedded(folder) as server:
        assert len(str(folder)) > LONGEST_PATH
        assert await count(server.dsn, "select 1") == 1
        sockets = Path(await _sockets(folder))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()


async def test_the_short_folder_of_a_killed_nova_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"
    with writer(folder) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.stdout.readline()
        abandoned = Path(await _sockets(folder))
    await ended(pid)
    assert abandoned.exists()
    async with embedded(folder):
        assert not abandoned.exists()


async def _sockets(folder: Path) -> str:
    dsn = await attach(folder)
    assert dsn
    return dsn.partition("host=")[2].replace("%2F", "/")


async def test_it_stops_while_clients_are_connected_and_is_clean_afterwards(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("create table t ()")
    connection.terminate()
    done = subprocess.run(
        [program() / "pg_controldata", tmp_path / "postgres" / "data"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "shut down\n" in done.stdout.replace(": ", ":").replace("  ", "")


async def test_a_first_start_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with embedded(tmp_path) as server:
        assert await count(server.dsn, "select 1") == 1


async def test_only_its_user_reaches_the_socket_and_the_data(tmp_path: Path) -> None:
    async with embedded(tmp_path):
        for each in ("postgres", "postgres/data"):
            assert stat.S_IMODE((tmp_path / each).stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "postgres.dsn").stat().st_mode) == 0o600


@as_root
async def test_as_root_another_user_runs_it_below_folders_that_are_closed_to_it(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with embedded(closed / "data") as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert await count(server.dsn, "select 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0


@as_root
async def test_programs_that_the_other_user_cannot_reach_are_copied(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = program().parents[1]
    (closed / package.name).symlink_to(package)
    user = pwd.getpwnam("nobody")
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    cache = Path("/var/tmp") / f"nova-test-{os.getpid()}"  # noqa: S108  # open to that user
    try:
        found = reachable_program(MAJOR, as_user, cache=cache, package=closed / package.name)
        assert found.is_relative_to(cache)
        assert reachable_program(MAJOR, as_user, cache=cache) == program()
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    with pytest.raises(CannotEmbed, match="such as /opt"):
        reachable_program(MAJOR, as_user, cache=closed, package=closed / package.name)


@as_root
async def test_it_runs_without_root_too() -> None:
    user = pwd.getpwnam("nobody")
    folder = Path("/var/tmp") / f"nova-test-{os.getpid()}"  # noqa: S108  # open to that user
    folder.mkdir(mode=0o700)
    os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        with writer(folder, user=user.pw_uid) as process:
            assert process.stdout
            pid = int(process.stdout.readline())
            assert int(process.stdout.readline()) == 1
            assert Path(f"/proc/{pid}").stat().st_uid == user.pw_uid
        await ended(pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_the_guide_moves_data_of_the_old_version_over_with_its_transaction_ids() -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "upgrade-postgresql.md"
    commands = guide.read_text().partition("```bash\n")[2].partition("```")[0]
    where, _, commands = commands.partition("\n")
    assert where.startswith("WHEEL=")
    folder = Path("/var/tmp") / f"nova-upgrade-{os.getpid()}"  # noqa: S108  # open to its user
    try:
        async with embedded(folder / "nova-data", major=16) as server:
            connection = await asyncpg.connect(server.dsn)
            await connection.execute(
                "create table facts (id int, xact xid8 default pg_current_xact_id());"
                "insert into facts values (1)"
            )
            await connection.close()
        for each in (folder, folder / "nova-data"):
            each.chmod(0o755)
        subprocess.run(
            ["bash", "-euc", commands],  # noqa: S607  # whichever bash there is
            check=True,
            capture_output=True,
            cwd=folder,
            env={"WHEEL": str(program().parents[1]), "PATH": os.environ["PATH"]},
            **Folder(folder / "nova-data").as_user,
        )
        async with embedded(folder / "nova-data") as server:
            ahead = "select pg_current_xact_id()::text::int - max(xact::text::int) from facts"
            assert await count(server.dsn, ahead) > 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_it_waits_for_what_a_killed_server_left_running(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.stdout.readline()
        dsn = await attach(tmp_path)
        assert dsn
        connection = await asyncpg.connect(dsn)
        lingering = connection.get_server_pid()
        os.kill(lingering, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        process.kill()
    await ended(pid)
    starting = asyncio.create_task(one_start(tmp_path))
    log = tmp_path / "postgres.log"
    try:
        await until(lambda: "is still in use" in log.read_text())
    finally:
        os.kill(lingering, signal.SIGCONT)
    assert await starting == 1
    connection.terminate()


async def one_start(folder: Path) -> int:
    async with embedded(folder) as server:
        return await count(server.dsn, "select 1")


async def test_why_it_does_not_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match=r"invalid value for parameter.*shared_buffers"):
        async with embedded(tmp_path, settings={"shared_buffers": "plenty"}):
            pass
