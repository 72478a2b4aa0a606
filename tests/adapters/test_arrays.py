from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova.ports.database import Pool

ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bytea": st.binary(),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "timestamptz": st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds the zone
    "uuid": st.uuids(),
}


@pytest.mark.parametrize("kind", ELEMENTS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(data=st.data())
async def test_an_array_comes_back_as_it_went(pool: Pool, kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | ELEMENTS[kind], max_size=5))
    assert await pool.value(f"select $1::{kind}[]", values) == values
    rows = await pool.fetch(f"select * from unnest($1::{kind}[]) as each", values)  # noqa: S608  # a fixed list
    assert [row["each"] for row in rows] == values


async def test_other_sequences_are_arrays_too(pool: Pool) -> None:
    assert await pool.value("select $1::bigint[]", range(3)) == [0, 1, 2]
    assert await pool.value("select $1::uuid[]", ()) == []
    assert await pool.value("select $1::uuid[] is null", None)
    two = (UUID(int=1), UUID(int=2))
    assert await pool.value("select cardinality($1::uuid[])", two) == 2
