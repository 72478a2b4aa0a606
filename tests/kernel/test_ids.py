from nova.kernel.ids import new_id, parse_id


def test_ids_sort_by_birth() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert {each.version for each in ids} == {7}


def test_only_the_canonical_form_is_an_id() -> None:
    one = new_id()
    assert parse_id(str(one)) == one
    assert parse_id(one.hex) is None
    assert parse_id("x" * 36) is None
