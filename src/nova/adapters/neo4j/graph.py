"""The graph index in Neo4j, over Bolt."""

import time
from array import array
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import uuid4

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncTransaction,
    Query,
    Record,
)

from nova.adapters.neo4j import statements
from nova.adapters.neo4j.address import Address, parsed
from nova.adapters.neo4j.breaker import Breaker
from nova.adapters.neo4j.faults import translated, unavailable
from nova.ports.checkpoint import Checkpoint, decoded, encoded
from nova.ports.graph import Candidate, Displaced, Edge

ANSWER_S = 0.5
"""For an answer; whoever asks is better served by PostgreSQL after that."""
CHECKPOINT_S = 5.0
WRITE_S = 30.0
CONNECTING_S = 2.0
CONNECTIONS = 50
PATIENCE_S = 15.0
"""Who fills, and writes nothing for so long, is taken for dead."""
AT_ONCE = 10_000
"""Follows that are filled in by one transaction."""

MOST_FOLLOWED = 400
MOST_EACH = 200
MOST_NAMED = 2
POPULAR = 400
MOST_ASKED = 20_000


@asynccontextmanager
async def open_graph(url: str, *, answer_s: float = ANSWER_S) -> AsyncIterator["Neo4jGraph"]:
    """Yield the index at an address, without calling the server yet. Raises ValueError."""
    address = parsed(url)
    driver = AsyncGraphDatabase.driver(
        address.shown,
        auth=(address.user, address.password) if address.user else None,
        connection_timeout=CONNECTING_S,
        connection_acquisition_timeout=CONNECTING_S,
        max_connection_pool_size=CONNECTIONS,
        max_transaction_retry_time=0,  # its callers know better what to do
        notifications_min_severity="OFF",
        telemetry_disabled=True,
        user_agent="nova",
    )
    async with driver:
        yield Neo4jGraph(driver, address, answer_s=answer_s)


class Neo4jGraph:
    """Implements ports.graph.KeptGraphIndex; people are small whole numbers."""

    def __init__(self, driver: AsyncDriver, address: Address, *, answer_s: float) -> None:
        self._answer_s = answer_s
        self._driver = driver
        self._address = address
        self._breaker = Breaker()
        self._filler = uuid4().hex
        self._fills = self._fresh = False
        self._pending: dict[int, tuple[Sequence[int], int]] = {}
        self._waiting = 0
        self._entered = bytearray()
        """Of a first fill, a one at the number of everybody who was entered: to ask is dear."""

    # -- walking ------------------------------------------------------------------------------

    async def suggest(
        self, number: int, *, hidden: Collection[int], most: int
    ) -> Sequence[Candidate]:
        left_out, asked = {number, *hidden}, 3 * most + 50
        while True:
            row = await self._ask(
                statements.SUGGEST,
                {
                    "number": number,
                    "followed": MOST_FOLLOWED,
                    "each": MOST_EACH,
                    "most": asked,
                },
            )
            left_out.update(row["mine"])
            found = [_candidate(*one) for one in row["found"] if one[0] not in left_out][:most]
            if len(found) == most or len(row["found"]) < asked or asked >= MOST_ASKED:
                break
            asked = min(MOST_ASKED, asked * 8)
        if len(found) < most:
            left_out.update(each.number for each in found)
            found += await self._most_followed(left_out, most - len(found))
        return found

    async def mutuals(self, number: int, *, most: int) -> Sequence[int]:
        row = await self._ask(statements.MUTUALS, {"number": number, "most": most})
        return list(row["found"])

    async def common(self, one: int, other: int, *, most: int) -> Sequence[int]:
        row = await self._ask(statements.COMMON, {"one": one, "other": other, "most": most})
        return list(row["found"])

    async def path(
        self, start: int, end: int, *, around: Collection[int], hops: int
    ) -> Sequence[int] | None:
        if start == end:
            return [start]
        past = {"start": start, "end": end, "around": list({*around} - {start, end})}
        row = await self._ask(statements.WAYS[min(hops, statements.MOST_HOPS)], past)
        return None if row["found"] is None else list(row["found"])

    async def _most_followed(self, left_out: Collection[int], most: int) -> list[Candidate]:
        async with self._breaker.watching(), translated(self._answer_s):
            rows = await self._rows(statements.POPULAR, {"most": POPULAR}, self._answer_s)
        chosen = [row["number"] for row in rows if row["number"] not in left_out][:most]
        return [Candidate(each, 0.0, (), 0) for each in chosen]

    async def _ask(self, statement: LiteralString, parameters: Mapping[str, Any]) -> Record:
        """Return the one row of a question; raises GraphUnavailable while it is being filled."""
        if not self._fills:
            await self._flush()
        async with self._breaker.watching(), translated(self._answer_s):
            rows = await self._rows(statement, parameters, self._answer_s)
        if not rows:
            raise unavailable("It is being filled.")
        return rows[0]

    # -- keeping in step ------------------------------------------------------------------------

    async def checkpoint(self) -> Checkpoint | None:
        async with translated(CHECKPOINT_S):
            rows = await self._rows(statements.CHECKPOINT, {}, CHECKPOINT_S)
        self._breaker.close()
        if not rows or rows[0]["to"] is None:
            return None
        row = rows[0]
        at = datetime.fromtimestamp(row["at"], UTC)
        return Checkpoint(row["log"], decoded(row["to"]), at)

    async def ping(self) -> str:
        async with translated(CONNECTING_S):
            server = await self._driver.get_server_info()
        found = await self.checkpoint()
        state = "being filled" if found is None else f"current as of {found.at:%Y-%m-%d %H:%M:%S}Z"
        return f"{server.agent.replace('/', ' ')}, {state}"

    async def begin(self, *, empty: bool, force: bool = False) -> None:
        for statement in statements.SCHEMA:
            async with translated(2 * WRITE_S):
                await self._rows(statement, {}, 2 * WRITE_S, WRITE_ACCESS)
        self._leave_off()
        mine, self._filler = self._filler, uuid4().hex
        parameters = {
            "mine": mine,
            "filler": self._filler,
            "force": force,
            "patience_ms": int(PATIENCE_S * 1000),
        }
        async with self._writing() as tx:
            await _guarded(tx, statements.BEGIN, parameters)
        self._fills, self._fresh = True, empty
        if empty:
            await self._repeat(statements.EMPTY_FOLLOWS)
            await self._repeat(statements.EMPTY_PEOPLE)

    async def fill(self, number: int, followees: bytes, followers: int) -> None:
        self._pending[number] = (array("I", followees), followers)
        self._waiting += 1 + len(followees) // 4
        if self._waiting >= AT_ONCE:
            await self._flush()

    async def finish(self, at: Checkpoint) -> None:
        await self._flush()
        async with self._writing() as tx:
            await _guarded(tx, statements.FINISH, {"filler": self._filler, **_written(at)})
        self._leave_off()

    async def bring(
        self, edges: Sequence[Edge], gone: Sequence[int], *, after: Checkpoint, to: Checkpoint
    ) -> None:
        self._leave_off()  # a fill that failed here, and that somebody else has done since
        for number in gone:  # piece by piece; to do it twice, or late, does no harm
            await self.forget(number)
        move = {"after": encoded(after.to), **_written(to)}
        async with self._writing() as tx:
            await _guarded(tx, statements.MOVE, move | {"log": after.log})
            await _change(tx, edges)

    async def apply(self, edges: Sequence[Edge]) -> None:
        await self._flush()
        async with self._writing() as tx:
            await _change(tx, edges)

    async def forget(self, number: int) -> None:
        await self._flush()
        for statement in (statements.LEAVE, statements.LOSE, statements.FORGET):
            await self._repeat(statement, {"number": number})

    async def clear(self) -> None:
        self._forget_pending()
        self._entered = bytearray()
        await self._repeat(statements.EMPTY_FOLLOWS)
        await self._repeat(statements.EMPTY_PEOPLE)

    async def _flush(self) -> None:
        """Write what was filled in; what is there already stays as it is."""
        pending = self._pending
        self._forget_pending()
        if not pending:
            return
        old = {} if self._fresh else await self._followees(list(pending))
        edges = [
            Edge(number, each, follows)
            for number, (followees, _) in pending.items()
            for each, follows in _differences(old.get(number, ()), followees)
        ]
        async with self._writing() as tx:
            await self._guard_filling(tx)
            if self._fresh:
                people = {*pending}.union(edge.followee for edge in edges)
                await tx.run(statements.ENTER, {"people": self._not_entered(people)})
                await tx.run(statements.FOLLOW_FIRST, {"edges": _timed(edges)})
            else:
                await tx.run(statements.ENTER, {"people": list(pending)})
                await _write(tx, edges)
            counts = [[number, followers] for number, (_, followers) in pending.items()]
            await tx.run(statements.COUNTED, {"counts": counts})

    def _not_entered(self, people: Collection[int]) -> list[int]:
        self._entered.extend(bytes(max(0, max(people) + 1 - len(self._entered))))
        new = [number for number in people if not self._entered[number]]
        for number in new:
            self._entered[number] = 1
        return new

    async def _followees(self, people: Sequence[int]) -> dict[int, Sequence[int]]:
        async with translated(WRITE_S):
            rows = await self._rows(statements.FOLLOWEES, {"people": people}, WRITE_S)
        return {row["number"]: row["followees"] for row in rows}

    async def _repeat(
        self, statement: LiteralString, about: Mapping[str, Any] | None = None
    ) -> None:
        """Run a statement that does so much at once, until there is nothing left to do."""
        while True:
            async with self._writing() as tx:
                await self._guard_filling(tx)
                result = await tx.run(statement, {"most": AT_ONCE, **(about or {})})
                record = await result.single()
            if record is None or record["done"] == 0 or statement is statements.FORGET:
                return

    async def _guard_filling(self, tx: AsyncTransaction) -> None:
        if self._fills:
            await _guarded(tx, statements.FILLING, {"filler": self._filler})

    def _leave_off(self) -> None:
        self._forget_pending()
        self._entered = bytearray()
        self._fills = self._fresh = False

    def _forget_pending(self) -> None:
        self._pending, self._waiting = {}, 0

    async def _rows(
        self,
        statement: LiteralString,
        parameters: Mapping[str, Any],
        within_s: float,
        access: str = READ_ACCESS,
    ) -> list[Record]:
        async with self._driver.session(
            database=self._address.database, default_access_mode=access
        ) as session:
            result = await session.run(Query(statement, timeout=within_s), dict(parameters))
            return [record async for record in result]

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncTransaction]:
        """Run a block in one transaction, durable at its end."""
        async with (
            translated(WRITE_S),
            self._driver.session(database=self._address.database) as session,
            await session.begin_transaction(timeout=WRITE_S) as tx,
        ):
            yield tx


async def _guarded(
    tx: AsyncTransaction, statement: LiteralString, parameters: Mapping[str, Any]
) -> None:
    """Take the lock, and go on only if the index still stands where the caller left it."""
    result = await tx.run(statement, dict(parameters))
    if await result.single() is None:
        raise Displaced


async def _change(tx: AsyncTransaction, edges: Sequence[Edge]) -> None:
    """Bring edges up to date, the last word about each; and count followers anew."""
    last = {(edge.follower, edge.followee): edge for edge in edges}
    if last:
        await _write(tx, list(last.values()))
        await tx.run(statements.COUNT, {"people": list({followee for _, followee in last})})


async def _write(tx: AsyncTransaction, edges: Sequence[Edge]) -> None:
    new = _timed(edges)
    old = [[e.follower, e.followee] for e in edges if not e.follows]
    if new:
        people = {number for follower, followee, _ in new for number in (follower, followee)}
        await tx.run(statements.ENTER, {"people": list(people)})
        await tx.run(statements.FOLLOW, {"edges": new})
    if old:
        await tx.run(statements.UNFOLLOW, {"edges": old})


def _timed(edges: Sequence[Edge]) -> list[list[int]]:
    """Return follows as the statements take them: with their times, one after the other."""
    at = time.time_ns() // 1000
    return [[e.follower, e.followee, at + i] for i, e in enumerate(edges) if e.follows]


def _differences(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, bool]]:
    """Return who is no longer, and who is newly followed, the latter in their order."""
    was, now = set(old), set(new)
    gone = [(each, False) for each in was - now]
    return [*gone, *((each, True) for each in new if each not in was)]


def _written(at: Checkpoint) -> dict[str, Any]:
    return {"log": at.log, "to": encoded(at.to), "at": at.at.timestamp()}


def _candidate(number: int, score: float, by: Sequence[Sequence[int]]) -> Candidate:
    """Name those first whom most people follow."""
    named = [each for each, _ in sorted(by, key=lambda one: (-(one[1] or 0), one[0]))]
    return Candidate(number, score, named[:MOST_NAMED], max(0, len(named) - MOST_NAMED))
