"""Pages of the delivery log cost what they show, and not what the log holds."""

from itertools import product
from typing import Any
from uuid import UUID

import pytest

from nova.adapters.postgres.pool import PostgresPool
from nova.features.deliveries import store_log
from nova.features.deliveries.delivery_log import NEWEST
from nova.features.deliveries.models import PHASES, Status, Which
from support.watching import Watching

COUNT = 20_000
FILL = """
insert into deliveries.deliveries (
    id, notification, kind, user_id, number, type, channel, lane, target, address, keys, title,
    body, data, locale, urgent, critical, collapse_id, made_at, expires_at, phase, status,
    priority, tries_from)
select uuidv7_at(n), gen_random_uuid(), 'single', gen_random_uuid(), n, 'like', 'push', 'ios',
       gen_random_uuid(), 'a', '{}', 'title', 'body', '{}', 'en', false, false, 'c', now(), now(),
       $1, $2, 0, now()
  from generate_series($3::int, $4::int) n
"""
IDS = """
create function uuidv7_at(n int) returns uuid language sql immutable as
$$ select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$
"""


@pytest.fixture
async def ledger(pool: PostgresPool) -> Any:
    """Nearly all deliveries were sent; some of the oldest are dead letters."""
    await pool.run(IDS)
    await pool.run(FILL, "dead", int(Status.BOUNCED), 1, 30)
    await pool.run(FILL, "done", int(Status.SENT), 31, COUNT)
    await pool.run("analyze deliveries.deliveries")
    return Watching(pool)


STATES = [
    Which(phase=phase, status=status)  # type: ignore[arg-type]  # names of both
    for phase, status in product([None, *PHASES], [None, *(each.name.lower() for each in Status)])
    if phase or status
]


async def test_a_state_that_nothing_is_in_costs_no_look_at_the_whole_log(
    ledger: Any,
) -> None:
    await store_log.page(ledger, NEWEST, None, Which(type="none"), 51)
    whole = ledger.blocks
    for which in STATES:
        await store_log.page(ledger, NEWEST, None, which, 51)
        assert ledger.blocks < whole / 3, which


async def test_pages_by_state_are_whole_and_newest_first(ledger: Any) -> None:
    found: list[UUID] = []
    before = NEWEST
    while page := await store_log.page(ledger, before, None, Which(status="bounced"), 7):
        found += [each.id for each in page]
        before = found[-1]
    assert len(found) == 30
    assert found == sorted(found, reverse=True)
    both = await store_log.page(ledger, NEWEST, None, Which(phase="done", status="sent"), 50)
    assert len(both) == 50
    assert (
        await store_log.page(ledger, NEWEST, None, Which(phase="done", status="bounced"), 5) == []
    )
