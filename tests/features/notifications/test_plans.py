"""What every event asks of PostgreSQL is planned once per connection, and not at each event."""

import asyncio

from support.notified import event, world

EVENTS = 60
TRIED = 5
"""Times that PostgreSQL plans a statement for its parameters before it settles on one plan."""

PLANNED_ANEW = """
select statement, custom_plans from pg_prepared_statements where custom_plans > $1
"""


async def test_an_event_has_nothing_planned(dsn: str) -> None:
    async with world(dsn) as here:
        names = [f"person-{number}" for number in range(EVENTS)]
        await here.meet(*names)
        for name in names:  # each for the first time, so that everything is looked up
            await here.send(event(f"for-{name}", recipient_id=name, actor_id="ada"))
            await asyncio.sleep(0.005)
        await here.settled()
        for connection in here.pool._all:
            assert await connection.fetch(PLANNED_ANEW, TRIED) == []
