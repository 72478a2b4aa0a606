"""`nova bench attack`, run small: every figure comes out of it, and each attack really happens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from nova.bench.attack import runner
from nova.bench.proxy import Proxy, proxied
from support.waiting import until

PLAN = runner.Plan(
    flood_s=0.5,
    floods=("ws_tiny_commands", "http_headers"),
    guessing_s=1.0,
    pushes_s=2.0,
    hung_s=1.0,
    deaf_s=1.0,
    erased_s=1.0,
)
FIGURES = {
    "healthz_p99_ms",
    "healthz_baseline_p99_ms",
    "valid_429",
    "pushes_to_one_victim_per_minute",
    "hung_database_p99_ms",
    "deaf_revocation_s",
    "sockets_refused_cleanly",
    "erased_traces",
}


async def test_a_short_attack_yields_every_figure() -> None:
    figures = await runner.run(PLAN, lambda _: None)
    assert set(figures) >= FIGURES
    for happened in (
        "healthz_p99_ms",
        "valid_requests",
        "bad_credentials_mb_per_s",
        "attacks_accepted",
        "pushes_to_one_victim_per_minute",
        "hung_database_p99_ms",
        "deaf_revocation_s",
        "sockets_open_at_the_limit",
        "traces_before",
    ):
        assert figures[happened], happened
    assert figures["hung_database_lost"] == 0
    for by_flood in (figures["healthz_p99_ms_by_flood"], figures["flood_mb_per_s"]):
        assert isinstance(by_flood, Mapping)
        assert set(by_flood) == set(PLAN.floods)
        assert all(by_flood.values())


@pytest.fixture
async def proxy(dsn: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with proxied(dsn, tmp_path) as one:
        yield one


async def test_a_deaf_proxy_lets_through_all_but_what_is_listened_for(proxy: Proxy) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()  # holds a few words
    listener, speaker = await asyncpg.connect(proxy.dsn), await asyncpg.connect(proxy.dsn)
    await listener.add_listener("words", lambda *said: heard.put_nowait(said[3]))
    await speaker.execute("select pg_notify('words', 'one')")
    assert await heard.get() == "one"

    proxy.unnotified = True
    await speaker.execute("select pg_notify('words', 'two')")
    assert await listener.fetchval("select 3") == 3
    proxy.unnotified = False
    await speaker.execute("select pg_notify('words', 'four')")
    assert await heard.get() == "four"

    proxy.deaf = True
    question = asyncio.create_task(listener.fetchval("select 5"))
    asked = "select query = 'select 5' from pg_stat_activity where pid = $1"
    pid = listener.get_server_pid()
    await until(lambda: speaker.fetchval(asked, pid))
    assert not question.done()
    question.cancel()
    listener.terminate()
    await speaker.close()
