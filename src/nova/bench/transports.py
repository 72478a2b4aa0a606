"""`nova bench channels`, the carriers' part: CPU per send, simulators in other processes."""

import asyncio
import os
import ssl
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener
from uuid import uuid4

import msgspec
from msgspec import Struct

from nova.app.carriers import carriers
from nova.kernel.clock import SystemClock
from nova.ports.carriers import Carrier, Parcel, Target, Verdict
from nova.settings import load

STARTING_S = 300.0
SETTINGS = "nova.toml"


class Plan(Struct, frozen=True):
    """How much to send."""

    pushes: int = 10_000
    mails: int = 2_000
    rounds: int = 5
    """The figure is the median of so many."""
    at_once: int = 128
    mails_at_once: int = 4
    subscriptions: int = 500


QUICK = Plan(pushes=2000, mails=400, rounds=3, subscriptions=100)
"""A look in half a minute; its figures are not for publication."""


class Cost(Struct, frozen=True):
    """What a send cost."""

    cpu_us: float
    per_s: float


async def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, float]:
    """Measure all carriers, one after the other."""
    costs: dict[str, Cost] = {}
    for name in ("fcm", "apns", "webpush", "smtp"):
        progress(f"{name}: CPU per send")
        costs[name] = await _measured(name, plan)
    return {
        "fcm_cpu_us_per_send": costs["fcm"].cpu_us,
        "apns_cpu_us_per_send": costs["apns"].cpu_us,
        "webpush_cpu_us_per_send": costs["webpush"].cpu_us,
        "mail_cpu_us_per_send": costs["smtp"].cpu_us,
        "apns_per_s": costs["apns"].per_s,
    }


async def _measured(name: str, plan: Plan) -> Cost:
    async with simulated(name) as folder:
        settings = load([folder / SETTINGS], {}, {}).settings
        async with carriers(settings, SystemClock()) as opened:
            targets = await _targets(name, folder, plan)
            count = plan.mails if name == "smtp" else plan.pushes
            workers = plan.mails_at_once if name == "smtp" else plan.at_once
            rounds = [
                await _round(opened[name], _parcels(targets, count), workers)
                for _ in range(plan.rounds)
            ]
    return Cost(median(each.cpu_us for each in rounds), median(each.per_s for each in rounds))


async def _round(carrier: Carrier, parcels: Sequence[Parcel], workers: int) -> Cost:
    """Send all; raises unless every one was taken."""
    await _send(carrier, parcels[:workers])  # connections and tokens
    left = iter(parcels)

    async def work() -> None:
        for parcel in left:
            await _send(carrier, (parcel,))

    cpu, wall = process_time(), perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    cpu, wall = process_time() - cpu, perf_counter() - wall
    return Cost(1e6 * cpu / len(parcels), len(parcels) / wall)


async def _send(carrier: Carrier, parcels: Sequence[Parcel]) -> None:
    for parcel in parcels:
        outcome = await carrier.send(parcel)
        if outcome.verdict is not Verdict.SENT:
            raise RuntimeError(f"{carrier.name} answered {outcome.code}: {outcome.text}")


def _parcels(targets: Sequence[Target], count: int) -> list[Parcel]:
    until = datetime.now(UTC) + timedelta(hours=1)
    return [
        Parcel(
            id=uuid4(),
            target=targets[number % len(targets)],
            title="Ada and 3 others liked your post",
            body="“Notes on the analytical engine, with all that it might do one day”",
            html="<p>“Notes on the analytical engine”</p>" * 20,
            url="https://app.example.com/posts/12345",
            data={"notification": str(number), "post": "12345"},
            collapse_id=f"likes-{number}",
            urgent=True,
            expires_at=until,
            locale="en",
            unsubscribe_url="https://nova.example.com/u/abc",
            badge=3,
        )
        for number in range(count)
    ]


async def _targets(name: str, folder: Path, plan: Plan) -> list[Target]:
    if name == "webpush":
        return await asyncio.to_thread(_subscribed, folder, plan.subscriptions)
    if name == "smtp":
        return [Target(None, "mail", f"user{n}@example.com") for n in range(1000)]
    if name == "apns":
        return [Target(uuid4(), "ios", f"{n:064x}") for n in range(5000)]
    return [Target(uuid4(), "android", f"{n:08d}:APA91b{'x' * 134}") for n in range(5000)]


def _subscribed(folder: Path, count: int) -> list[Target]:
    """Make subscriptions at the simulator, whose address stands in its settings."""
    text = (folder / SETTINGS).read_text("utf-8")
    url = text.split("POST ", 1)[1].split()[0]
    trust = ssl.create_default_context(cafile=folder / "ca.pem")
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))
    targets = []
    for _ in range(count):
        request = Request(url, b"{}", {"Content-Type": "application/json"})  # noqa: S310  # the simulator's
        with opener.open(request, timeout=STARTING_S) as answer:
            made = msgspec.json.decode(answer.read(), type=_Subscription)
        targets.append(Target(uuid4(), "web", made.endpoint, made.keys))
    return targets


class _Subscription(Struct):
    endpoint: str
    keys: dict[str, str]


@asynccontextmanager
async def simulated(name: str) -> AsyncIterator[Path]:
    """Run a simulator in a process of its own, and return the folder of its settings."""
    with TemporaryDirectory(prefix="nova-bench-") as text:
        folder = Path(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "nova", "simulate", name, "--folder", text),
            env=dict(os.environ),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(STARTING_S):
                while process.stdout is None or b"ca_file" not in await process.stdout.readline():
                    if process.returncode is not None:
                        raise RuntimeError(f"nova simulate {name} did not start")
            yield folder
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def variables(simulator: Path) -> dict[str, str]:
    """Return a simulator's settings as NOVA_… variables."""
    rooms: dict[str, dict[str, Any]] = tomllib.loads((simulator / SETTINGS).read_text("utf-8"))
    return {
        f"NOVA_{room}_{name}".upper(): str(value)
        for room, values in rooms.items()
        for name, value in values.items()
    }


async def received(simulator: Path) -> Any:
    """Return what a simulator of FCM received: `count`, and the `items` that it kept."""
    url = tomllib.loads((simulator / SETTINGS).read_text("utf-8"))["fcm"]["url"]
    trust = ssl.create_default_context(cafile=simulator / "ca.pem")
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))

    def read() -> bytes:
        with opener.open(f"{url}/simulator/received", timeout=STARTING_S) as answer:
            return bytes(answer.read())

    return msgspec.json.decode(await asyncio.to_thread(read))
