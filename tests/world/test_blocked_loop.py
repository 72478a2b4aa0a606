"""Something holds a server's event loop: another takes over, and the held one says so later."""

import os
import re
import signal
from pathlib import Path

from nova.ports.database import Pool
from support.app import like
from support.blockable_nova import HOLDS
from support.books import balance
from support.deployment import deployed
from support.follower import following
from support.waiting import until

TESTS = Path(__file__).parents[1]
BLOCKABLE = ("-m", "support.blockable_nova")
OWNERS = "select count(distinct owner) from backbone.cursors"


async def test_what_a_held_server_owned_goes_on_elsewhere_and_once(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    holding = tmp_path / "held"
    settings = {"NOVA_DATABASE": dsn, HOLDS: str(holding), "PYTHONPATH": str(TESTS)}
    for name in "ab":
        (tmp_path / name).mkdir()
    async with (
        deployed(tmp_path / "a", program=BLOCKABLE, **settings) as first,
        deployed(tmp_path / "b", **settings) as second,
    ):
        here = await first.start()
        second.secret = first.secret
        there = await second.start(here.server.server_key)
        await until(lambda: pool.value(f"{OWNERS} having count(distinct owner) = 2"))
        ada, ben = await there.people(2)
        async with following(second.app, ben) as phone:
            holding.touch()
            os.kill(here.server.pid, signal.SIGUSR1)
            await until(lambda: b"loop_blocked" in first.output)
            events = [like(to=ben, by=ada, related_entity_id=str(n)) for n in range(5)]
            await second.send(*events)
            await phone.rung(*events)  # once the held one is taken for dead
            holding.unlink()
            await until(lambda: b"loop_turns_again" in first.output)
            last = like(to=ben, by=ada)
            await first.send(last)
            await phone.rung(last)
        async with here.client() as client:
            ready = await client.get("/readyz")
            metrics = (await client.get("/metrics")).text
        await balance(pool, delivered=[*events, last])
    assert ready.status_code == 200
    assert "LoopBlocked: It stood still for" in ready.json()["checks"]["loop"]
    held = re.search(r"^nova_loop_blocked_total (\S+)$", metrics, re.MULTILINE)
    assert held is not None
    assert float(held[1]) >= 1  # a busy machine holds it, too
    assert b"in hold" in first.output  # the stack says who
    assert b"Traceback" not in first.output
