"""Measure the latency of `/healthz` during each flood, from another process."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from nova.bench.attack import flood_sender, healthz_prober
from nova.bench.attack.floods import Flood, floods
from nova.bench.attack.subprocesses import busy, worker
from nova.bench.client import Caller
from nova.bench.notifications import create_users
from nova.bench.processes import Server, serving
from nova.bench.receipts import percentile
from nova.web.tokens import mint

PROBER = "nova.bench.attack.healthz_prober"
SETTINGS = {
    "NOVA_NAMESPACES": '[{"name": "flood", "publish": true, "presence": true, "join_leave": true, '
    '"history_size": 10, "history_ttl_s": 60}]'
}
"""A namespace that allows all that users may be allowed."""
CALM_S = 0.1
QUICK_ONES = 5
CALMED_S = 120.0
SPARE_S = 120.0
"""A flooder is told to end; by then it ends by itself."""


async def measured(
    seconds: float, only: Sequence[str], progress: Callable[[str], None]
) -> dict[str, float | Mapping[str, float]]:
    """Send each flood for so long; `only` names some of them, or is empty for all."""
    p99: dict[str, float] = {}
    rates: dict[str, float] = {}
    grown: dict[str, float] = {}
    async with serving(SETTINGS) as server:
        caller = await Caller.open(server.host, server.port, server.server_key)
        await create_users(caller, ["ada"])
        caller.close()
        await _calmed(server, "its start")
        progress("healthz beside a busy process that does not concern it")
        before = await _baseline(server, seconds)
        for name, each in floods(mint(server.token_secret, "ada")).items():
            if only and name not in only:
                continue
            progress(f"healthz under {name}")
            resident = server.resident_kb()
            p99[name], rates[name] = await _under(server, each, seconds)
            grown[name] = max(0.0, (server.resident_kb() - resident) / 1024)
            await _calmed(server, name)
        after = await _baseline(server, seconds)
    return {
        "healthz_p99_ms": max(p99.values()),
        "healthz_baseline_p99_ms": _p99(before, after),
        "healthz_p99_ms_by_flood": p99,
        "flood_mb_per_s": rates,
        "flood_memory_mb": grown,
    }


async def _under(server: Server, flood: Flood, seconds: float) -> tuple[float, float]:
    """Return p99 in milliseconds, and how many megabytes came in a second."""
    order = flood_sender.Order(server.host, server.port, seconds + SPARE_S, (flood,))
    async with (
        worker("nova.bench.attack.flood_sender", order) as flooding,
        worker(PROBER, _asking(server, seconds)) as probing,
    ):
        await flooding.begin()
        await probing.begin()
        seen = await probing.result(healthz_prober.Seen)
        flooding.end()
        sent = await flooding.result(flood_sender.Sent)
    return _p99(seen), sent.bytes / sent.seconds / 1e6


async def _baseline(server: Server, seconds: float) -> healthz_prober.Seen:
    async with busy(), worker(PROBER, _asking(server, seconds)) as probing:
        await probing.begin()
        return await probing.result(healthz_prober.Seen)


def _asking(server: Server, seconds: float) -> healthz_prober.Order:
    return healthz_prober.Order(server.host, server.port, seconds)


def _p99(*seen: healthz_prober.Seen) -> float:
    return 1000 * percentile([s for each in seen for s in (*each.fresh, *each.kept)], 0.99)


async def _calmed(server: Server, after: str) -> None:
    """Wait until the server answers at once several times in a row; raises when it never does."""
    quick = 0
    try:
        async with asyncio.timeout(CALMED_S):
            while quick < QUICK_ONES:
                quick = quick + 1 if await _once(server) < CALM_S else 0
                await asyncio.sleep(0.1)
    except (TimeoutError, OSError) as wrong:
        raise RuntimeError(f"the server did not get over {after}: {wrong!r}") from wrong


async def _once(server: Server) -> float:
    start = perf_counter()
    caller = await Caller.open(server.host, server.port, "")
    await caller.ask("GET", "/healthz")
    caller.close()
    return perf_counter() - start
