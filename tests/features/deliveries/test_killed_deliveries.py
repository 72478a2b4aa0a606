"""Wherever a process is killed, nothing is lost, and what goes out twice is known and collapses."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

import support
from nova.bench.commits import CommitPoint
from nova.bench.proxy import proxied
from support.delivered import delivered
from support.delivered_process import HASTY
from support.waiting import until

PLANNING = "insert into deliveries.deliveries"
CLAIMING = "with open as"
RECORDING = "with told as materialized"

OPEN = "select count(*) from deliveries.deliveries where phase <> 'done'"
SENT = """
select d.id, d.resends, i.event_id from deliveries.deliveries d
  join notifications.inbox i on i.id = d.notification
"""


async def started(dsn: str, name: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.delivered_process",
        dsn,
        name,
        stdout=PIPE,
        cwd=Path(support.__file__).parents[1],
    )


class Provider:
    """What all processes handed over, and what they accepted."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.took: dict[str, list[str]] = {}

    async def heard(self, *, accepted: int = 0, took: int = 0) -> None:
        await until(lambda: len(self.accepted) >= accepted and len(self.took) >= took)

    async def watch(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if not line.endswith(b"\n"):
                return
            what, *more = line.decode().split()
            if what == "accepted":
                self.accepted.append(more[0])
            elif what == "took":
                self.took.setdefault(more[0], []).append(more[1])


async def settled(dsn: str, provider: Provider) -> None:
    """Let another process finish, and compare the provider's view with the ledger."""
    async with delivered(dsn, knobs=HASTY) as here:

        async def nothing_open() -> bool:
            planned = await here.pool.value("select count(*) from deliveries.deliveries")
            stored = await here.pool.value("select count(*) from notifications.inbox")
            return planned == stored and not await here.pool.value(OPEN)

        await here.settled()
        await until(nothing_open)
        for parcel in here.ios.parcels:
            provider.took.setdefault(str(parcel.id), []).append(parcel.collapse_id)
        rows = await here.pool.fetch(SENT)
    assert set(provider.accepted) <= {row["event_id"] for row in rows}
    for row in rows:
        sightings = provider.took[str(row["id"])]  # none was lost
        assert len(set(sightings)) == 1  # all with the same collapse id
        assert len(sightings) - 1 <= row["resends"]  # none twice whose outcome was known


@pytest.mark.parametrize("commit", [PLANNING, CLAIMING, RECORDING])
@pytest.mark.parametrize("kept", [False, True])
async def test_killed_at_a_commit_nothing_is_lost_or_silently_repeated(
    tmp_path: Path, dsn: str, commit: str, kept: bool
) -> None:
    provider = Provider()
    async with proxied(dsn, tmp_path) as proxy:
        for round_ in range(3):
            process = await started(proxy.dsn, f"p{round_}")
            watching = asyncio.create_task(provider.watch(process))
            await provider.heard(accepted=5 * (round_ + 1))

            async def strike(process: Process = process) -> None:
                process.kill()
                await process.wait()

            proxy.at = point = CommitPoint(commit, strike, kept=kept)
            await point.reached()
            await process.wait()
            await watching
    await settled(dsn, provider)


async def test_killed_at_any_moment_nothing_is_lost_or_silently_repeated(dsn: str) -> None:
    provider = Provider()
    for round_ in range(6):
        process = await started(dsn, f"p{round_}")
        watching = asyncio.create_task(provider.watch(process))
        await provider.heard(took=len(provider.took) + 7 * (round_ + 1))
        process.kill()
        await process.wait()
        await watching
    await settled(dsn, provider)
