"""Cursors come back whole, or not at all."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.kernel.ids import new_id
from nova.web.cursors import BadCursor, Cursors

Place = tuple[datetime, UUID]
INBOX: Cursors[Place] = Cursors(b"secret", "inbox", Place)
EVENTS: Cursors[Place] = Cursors(b"secret", "events", Place)
PLACE = (datetime(2026, 11, 24, 3, 10, 0, 123456, tzinfo=UTC), new_id())


def test_a_cursor_leads_back_to_its_place() -> None:
    assert INBOX.open("ada", INBOX.seal("ada", PLACE)) == PLACE


@pytest.mark.parametrize(
    "cursor",
    [
        INBOX.seal("ben", PLACE),
        EVENTS.seal("ada", PLACE),
        Cursors[Place](b"other", "inbox", Place).seal("ada", PLACE),
        Cursors[int](b"secret", "inbox", int).seal("ada", 7),
        "",
        "garbage",
        "é",
        "A" * 10_000,
        "' or 1=1 --",
        INBOX.seal("ada", PLACE)[:-4],
    ],
    ids=["owner", "kind", "secret", "type", "empty", "garbage", "text", "long", "sql", "cut"],
)
def test_any_other_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        INBOX.open("ada", cursor)


def test_an_owner_cannot_borrow_from_the_place() -> None:
    texts: Cursors[str] = Cursors(b"secret", "texts", str)
    sealed = texts.seal("ada", "x")
    with pytest.raises(BadCursor):
        texts.open('ada"', sealed)


@given(st.integers(0, 400), st.integers(0, 255))
def test_no_changed_byte_goes_unnoticed(at: int, byte: int) -> None:
    cursor = INBOX.seal("ada", PLACE)
    at %= len(cursor)
    changed = cursor[:at] + chr(byte) + cursor[at + 1 :]
    with suppress(BadCursor):
        assert INBOX.open("ada", changed) == PLACE  # base64 has spare bits at its end
