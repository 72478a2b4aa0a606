"""`nova bench channels`, the part of decisions: digests closed, and a morning's release."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

from msgspec import Struct

from nova.app import House, visited
from nova.bench.receipts import percentile
from nova.features.accounts.models import NewDevice, Upsert
from nova.kernel.ids import new_id
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.settings import Settings, Tokens
from nova.settings.features import Deliveries

UNBOUND = Deliveries(pushes_per_minute=0, mails_per_hour=0, throttle_actors=False)
APART_S = 0.02
SETTLE_S = 300.0
AT_ONCE = 1_000

MAILBOXES = "update accounts.users set email = external_id || '@example.org'"

PHONES = """
insert into accounts.devices (id, user_id, platform, app, address, token)
select gen_random_uuid(), id, 'ios', 'default', sha256(convert_to(external_id, 'UTF8')), external_id
  from accounts.users where external_id like 'sleeper-%'
"""

# What stands in nobody's inbox is not sent.
STORED = """
insert into notifications.inbox (
    id, user_id, number, run, occurred_at, accepted_at, heard_at, created_at, expires_at, type,
    event_id, title, body, locale, rule, metadata)
select d.notification, d.user_id, -row_number() over (), gen_random_uuid(), now(), now(), now(),
       now(), now() + interval '1 day', d.type, 'bench', d.title, d.body, 'en', 'bench', '{}'
  from (select notification, user_id, type, title, body from deliveries.entries
         union
        select notification, user_id, type, title, body from deliveries.deliveries
         where phase = 'held') d
    on conflict (id) do nothing
"""

DIGESTS = """
with opened as (
    insert into deliveries.digests (id, user_id, channel, key, type, opened_at, closes_at)
    select gen_random_uuid(), id, 'email', 'like', 'like', now(), now() + interval '1 hour'
      from accounts.users where external_id like 'sleeper-%' limit $1
    returning id, user_id
)
insert into deliveries.entries (notification, channel, digest, user_id, number, actor_name, type,
                                about, title, body, locale, at)
select gen_random_uuid(), 'email', o.id, o.user_id, n, 'Ada', 'like', 'post-' || n,
       'Ada liked your post', '', 'en', now()
  from opened o, generate_series(1, 3) as n
"""

DUE = "update deliveries.digests set closes_at = now() where closed_at is null"

# Held until they are said to be due.
HELD = """
insert into deliveries.deliveries (
    id, notification, kind, user_id, number, type, channel, lane, target, address, keys, title,
    body, data, locale, urgent, critical, collapse_id, made_at, expires_at, phase, reason, status,
    due, priority, tries_from)
select gen_random_uuid(), gen_random_uuid(), 'single', d.user_id, n, 'comment', 'push', 'ios', d.id,
       d.token, '{}', 'Ada commented on your post', 'Lovely', '{}', 'en', false, false,
       md5(d.id::text || n), now(), now() + interval '1 day', 'held', 'quiet_hours', 0,
       now() + interval '12 hours', 1, now()
  from accounts.devices d, generate_series(1, $1) as n where d.token like 'sleeper-%'
"""

# Spread as `deliveries.release_spread_s` has it: 60 s, the same moment for all of a person's.
MORNING = """
update deliveries.deliveries
   set due = now() + ('x' || left(md5(user_id::text), 6))::bit(24)::int % 60000 * interval '1 ms'
 where phase = 'held'
"""

LEFT = """
select exists (select from deliveries.deliveries where phase in ('held', 'waiting')
                  and type <> 'message')
"""


class Plan(Struct, frozen=True):
    """How much is held."""

    digests: int = 10_000
    sleepers: int = 25_000
    each: int = 4
    """Held per sleeper: 100,000 in all."""
    baseline_s: float = 10.0


QUICK = Plan(digests=2_000, sleepers=2_000, each=4, baseline_s=3.0)


class Timer:
    """A carrier that answers at once, and knows when it was handed what."""

    name = "timer"

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.count = 0

    async def send(self, parcel: Parcel) -> Outcome:
        self.count += 1
        if parcel.data.get("type") == "message":
            self.at[parcel.data["notification"]] = perf_counter()
        return Outcome(Verdict.SENT, "200", "", None, None, None)

    async def ping(self) -> str:
        return "timer"


async def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, float]:
    """Measure in a house of its own, over a database of its own."""
    async with _house() as house:
        timer = Timer()
        for lane in house.deliveries.platforms.values():
            lane.carrier = timer
        progress("deliveries: people, devices and mailboxes")
        await _people(house, plan.sleepers)
        progress("deliveries: closing digests")
        close_s = await _digests(house, plan.digests)
        async with house.backbone.run():
            return {"digest_close_s": close_s} | await _morning(house, timer, plan, progress)


@asynccontextmanager
async def _house() -> AsyncIterator[House]:
    tokens = Tokens(secret="s" * 32, signing_secret="t" * 32)
    with TemporaryDirectory() as folder:
        async with visited(
            Settings(data=Path(folder) / "data", tokens=tokens, deliveries=UNBOUND), creates=True
        ) as house:
            yield house


async def _people(house: House, count: int) -> None:
    names = ["ada", *(f"sleeper-{n}" for n in range(count))]
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        await house.accounts.upsert([Upsert(external_id=name, name=name) for name in some])
    await house.pool.run(MAILBOXES)
    await house.pool.run(PHONES)
    await house.accounts.upsert([Upsert(external_id="awake", name="awake")])
    awake = (await house.people.resolve(["awake"]))["awake"]
    await house.accounts.register(awake, NewDevice(platform="ios", token="6f8a" * 16))


async def _digests(house: House, count: int) -> float:
    await house.pool.run(DIGESTS, count)
    await house.pool.run(STORED)
    await house.pool.run("analyze")
    await house.pool.run(DUE)
    start = perf_counter()
    closed = await house.deliveries.digests.close_due()
    if closed != count:
        raise RuntimeError(f"{closed} digests closed, not {count}")
    return perf_counter() - start


async def _morning(
    house: House, timer: Timer, plan: Plan, progress: Callable[[str], None]
) -> dict[str, float]:
    await house.pool.run(HELD, plan.each)
    await house.pool.run(STORED)
    await house.pool.run("analyze")
    progress("deliveries: live traffic alone")
    before = await _live(house, timer, asyncio.create_task(asyncio.sleep(plan.baseline_s)))
    progress("deliveries: live traffic during the release")
    start = perf_counter()
    await house.pool.run(MORNING)
    releasing = asyncio.create_task(_quiet(house))
    during = await _live(house, timer, releasing)
    return {
        "held": float(plan.sleepers * plan.each),
        "release_s": perf_counter() - start,
        "live_p95_ms": before,
        "live_p95_ms_during_release": during,
        "live_p95_ratio_during_release": during / before,
    }


async def _quiet(house: House) -> None:
    """Wait until nothing is due any more."""
    async with asyncio.timeout(SETTLE_S):
        while await house.pool.value(LEFT):  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.1)


async def _live(house: House, timer: Timer, until: asyncio.Task[None]) -> float:
    """Send a message every so often until something ends; return p95 from sending to carrier."""
    sent: dict[str, float] = {}
    while not until.done():
        start = perf_counter()
        event = (
            b'{"id": "%s", "event_type": "message", "recipient_id": "awake", "actor_id": "ada"}'
            % str(new_id()).encode()
        )
        results = await house.notifications.ingest.body(event)
        sent[str(_id(results.results[0].notification))] = start
        await asyncio.sleep(max(0.0, APART_S - (perf_counter() - start)))
    await until
    async with asyncio.timeout(SETTLE_S):
        while not sent.keys() <= timer.at.keys():  # noqa: ASYNC110  # likewise
            await asyncio.sleep(0.05)
    waits = sorted((timer.at[id_] - start) * 1_000 for id_, start in sent.items())
    return percentile(waits, 0.95)


def _id(given: UUID | None) -> UUID:
    if given is None:
        raise RuntimeError("an event was refused")
    return given
