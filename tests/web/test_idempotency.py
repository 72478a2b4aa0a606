"""A POST with an Idempotency-Key happens once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec import Struct

from nova.adapters.postgres.idempotency import PostgresIdempotency
from nova.backbone.database import Database
from nova.kernel.errors import Conflict, TooMany, Unavailable
from nova.kernel.text import Name
from nova.ports.idempotency import KeyReused, StillRunning
from nova.web.actors import Rule
from nova.web.routes import Call, Route
from support.facts import Waved
from support.http import SERVER, People, api_client, bearer
from support.waiting import until


class Order(Struct):
    item: Name


class Shop:
    """Notes what it sold, in the log too, and fails as told."""

    def __init__(self, db: Database) -> None:
        self.sold: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.fails: list[Exception] = []
        self._db = db

    async def sell(self, call: Call[Order, Any]) -> dict[str, int]:
        self.asked.set()
        async with self._db.transaction() as tx:
            await tx.emit(Waved(who=call.body.item))
        await self.open.wait()
        if self.fails:
            raise self.fails.pop()
        self.sold.append(call.body.item)
        return {"number": len(self.sold)}

    async def logged(self) -> list[str]:
        """Return what it sold, durably."""
        rows = await self._db.fetch("select key from backbone.event_log order by position")
        return [row["key"] for row in rows]


@asynccontextmanager
async def selling(shop: Shop, db: Database, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    route = Route(
        method="POST",
        path="/orders",
        rule=Rule.EITHER,
        handler=shop.sell,
        body=Order,
        summary="Order",
        status=201,
    )
    keys = PostgresIdempotency(db, **more)
    async with api_client([route], People("ada", "ben"), idempotency=keys) as client:
        yield client


async def order(
    client: httpx.AsyncClient, item: str, key: str | None = "k1", by: str = "ada"
) -> httpx.Response:
    headers = bearer(by) | ({"idempotency-key": key} if key is not None else {})
    return await client.post("/orders", json={"item": item}, headers=headers)


async def test_the_same_request_twice_happens_once(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db) as client:
        first, second = await order(client, "tea"), await order(client, "tea")
    assert shop.sold == ["tea"]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["content-type"] == "application/json"


async def test_without_a_key_it_happens_twice(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db) as client:
        await order(client, "tea", None)
        await order(client, "tea", None)
    assert shop.sold == ["tea", "tea"]


async def test_the_same_key_with_another_body_is_refused(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db) as client:
        await order(client, "tea")
        answer = await order(client, "milk")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert shop.sold == ["tea"]


async def test_keys_of_different_callers_are_different(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db) as client:
        for by in ("ada", "ben", SERVER):
            await order(client, "tea", by=by)
    assert len(shop.sold) == 3


async def test_a_repeat_meanwhile_is_told_to_wait(db: Database) -> None:
    shop = Shop(db)
    shop.open.clear()
    async with selling(shop, db) as client:
        first = asyncio.create_task(order(client, "tea"))
        await shop.asked.wait()
        second = await order(client, "tea")
        assert second.status_code == 409
        assert second.json()["code"] == "idempotency_key_in_flight"
        assert int(second.headers["retry-after"]) >= 1
        shop.open.set()
        assert (await first).status_code == 201
    assert shop.sold == ["tea"]


async def test_of_many_at_once_one_happens(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db) as client:
        answers = await asyncio.gather(*(order(client, "tea") for _ in range(20)))
    assert shop.sold == ["tea"]
    assert {one.status_code for one in answers} <= {201, 409}


async def test_a_refusal_is_kept(db: Database) -> None:
    shop = Shop(db)
    shop.fails = [Conflict("Sold out.")]
    async with selling(shop, db) as client:
        first, second = await order(client, "tea"), await order(client, "tea")
    assert first.json() == second.json()
    assert (second.status_code, shop.sold) == (409, [])


async def test_a_fault_is_not_kept(db: Database) -> None:
    shop = Shop(db)
    shop.fails = [RuntimeError(), Unavailable(), TooMany(retry_after=1)]
    async with selling(shop, db) as client:
        answers = [(await order(client, "tea")).status_code for _ in range(4)]
    assert answers == [429, 503, 500, 201]
    assert shop.sold == ["tea"]


@pytest.mark.parametrize("wrong", [RuntimeError(), Unavailable(), Conflict("Sold out.")])
async def test_what_did_not_succeed_leaves_nothing(db: Database, wrong: Exception) -> None:
    shop = Shop(db)
    shop.fails = [wrong]
    async with selling(shop, db) as client:
        await order(client, "tea")
    assert await shop.logged() == []


async def test_what_outlasted_its_claim_is_undone_when_another_came_first(db: Database) -> None:
    shop = Shop(db)
    shop.open.clear()
    async with selling(shop, db) as client:
        late = asyncio.create_task(order(client, "tea"))
        await shop.asked.wait()
        claim = await db.value("update web.idempotency set claimed_until = now() returning claim")
        second = asyncio.create_task(order(client, "tea"))

        async def claimed_anew() -> bool:
            return bool(await db.value("select claim from web.idempotency") != claim)

        await until(claimed_anew)
        shop.open.set()
        answers = {(await late).status_code, (await second).status_code}
    assert answers == {201, 409}
    assert await shop.logged() == ["tea"]


async def test_a_claim_that_a_crash_left_is_freed_for_the_same_request(db: Database) -> None:
    lapsing = PostgresIdempotency(db, claimed_for=timedelta(0))
    crashed = await lapsing.claim("ada", "k", b"f")
    with pytest.raises(KeyReused):
        await lapsing.claim("ada", "k", b"other")
    assert await PostgresIdempotency(db).claim("ada", "k", b"f") != crashed
    with pytest.raises(StillRunning):
        await lapsing.claim("ada", "k", b"f")


async def test_a_claim_that_passed_on_keeps_nothing(db: Database) -> None:
    lapsing = PostgresIdempotency(db, claimed_for=timedelta(0))
    old = await lapsing.claim("ada", "k", b"f")
    new = await lapsing.claim("ada", "k", b"f")
    assert old != new
    await lapsing.drop("ada", "k", old)  # type: ignore[arg-type]  # a claim: nothing was kept
    assert await db.value("select claim from web.idempotency") == new


async def test_keys_are_forgotten_after_their_time(db: Database) -> None:
    shop = Shop(db)
    async with selling(shop, db, kept_for=timedelta(0)) as client:
        await order(client, "tea")
        await order(client, "milk")
    assert shop.sold == ["tea", "milk"]
    assert await PostgresIdempotency(db).expire() == 1
    assert await db.value("select count(*) from web.idempotency") == 0


async def test_keys_that_cannot_be_are_refused(db: Database) -> None:
    async with selling(Shop(db), db) as client:
        for key in ("", "with space", "k" * 256):
            answer = await order(client, "tea", key)
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_idempotency_key")
