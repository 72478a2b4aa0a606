"""A feature's programs run as long as the process that started them."""

import asyncio
import sys
from pathlib import Path

import pytest

from nova.app import children
from nova.app.children import Child
from nova.feature import ChildProcess
from support.waiting import until

NOTES = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "
STAYS = NOTES + "time.sleep(3600)"
ENDS = NOTES + "sys.exit(3)"
DEAF = NOTES + "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"


def child(program: str, notes: Path) -> Child:
    command = (sys.executable, "-c", program, str(notes))
    return Child(ChildProcess(name="test", command=command))


def started(notes: Path) -> list[int]:
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def repeat(one: Child) -> None:
    while True:
        await one.turn()


async def end(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_program_runs_until_the_process_ends(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    running = asyncio.create_task(repeat(child(STAYS, notes)))
    await until(lambda: started(notes))
    [pid] = started(notes)
    assert is_there(pid)
    await end(running)
    assert not is_there(pid)


async def test_a_program_that_ends_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "AGAIN_S", 0.0)
    notes = tmp_path / "notes"
    running = asyncio.create_task(repeat(child(ENDS, notes)))
    await until(lambda: len(started(notes)) >= 3)
    await end(running)
    assert len(set(started(notes))) == len(started(notes))


async def test_a_program_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "ENDING_S", 0.05)
    notes = tmp_path / "notes"
    running = asyncio.create_task(repeat(child(DEAF, notes)))
    await until(lambda: started(notes))
    [pid] = started(notes)
    await end(running)
    assert not is_there(pid)


async def test_a_program_that_is_not_there_is_told_of() -> None:
    with pytest.raises(FileNotFoundError):
        await Child(ChildProcess(name="test", command=("/nowhere/at-all",))).turn()


PARENT = """
import asyncio, sys
from nova.app.children import Child
from nova.feature import ChildProcess
asyncio.run(Child(ChildProcess(name="test", command=sys.argv[1:])).turn())
"""


async def test_a_program_ends_when_its_process_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    command = (sys.executable, "-c", PARENT, sys.executable, "-c", STAYS, str(notes))
    parent = await asyncio.create_subprocess_exec(*command)
    await until(lambda: started(notes))
    parent.kill()
    await parent.wait()
    [pid] = started(notes)
    await until(lambda: not is_there(pid))
