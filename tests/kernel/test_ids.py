from datetime import UTC, datetime, timedelta

from nova.kernel.ids import least_id, new_id, parse_id


def test_ids_sort_by_birth() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert {each.version for each in ids} == {7}


def test_only_the_canonical_form_is_an_id() -> None:
    one = new_id()
    assert parse_id(str(one)) == one
    assert parse_id(one.hex) is None
    assert parse_id("x" * 36) is None


def test_what_is_made_from_a_moment_on_has_a_greater_id() -> None:
    before, id_, now = datetime.now(UTC) - timedelta(milliseconds=2), new_id(), datetime.now(UTC)
    assert least_id(before) <= id_ < least_id(now + timedelta(milliseconds=2))
