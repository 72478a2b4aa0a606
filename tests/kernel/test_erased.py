"""Texts of others, without the ids and mentions of people who were erased."""

from uuid import UUID

import pytest

from nova.kernel.erased_people import NOBODY, Erased

ANN = UUID("0190c0de-aaaa-7bbb-8ccc-0190c0deaaaa")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("well said, @ann!", "well said, @…!"),
        ("@Ann, \uff20ann and @anna", "@…, @… and @anna"),
        (f"see {ANN} or {ANN.hex}", f"see {NOBODY} or {UUID(int=0).hex}"),
        ('{"who":"ann"}', '{"who":"ann"}'),  # three letters may mean anything
    ],
)
def test_ids_and_mentions_are_taken_out(text: str, left: str) -> None:
    assert Erased([ANN], ["ann"]).without(text) == left


def test_an_id_of_the_apps_that_is_long_enough_is_taken_out_of_json() -> None:
    text = '{"who":"ann-annesley","other":"ann-annesley-2"}'
    left = f'{{"who":"{NOBODY}","other":"ann-annesley-2"}}'
    assert Erased([], ["ann-annesley"]).without(text) == left


def test_a_short_id_of_the_apps_is_looked_for_where_it_is_a_users() -> None:
    words = Erased([], ["42"]).words
    assert '"actor_id":"42"' in words
    assert '"42"' not in words


def test_ids_of_other_things_are_left_without_theirs() -> None:
    erased = Erased([], ["ann-annesley", "42"])
    assert erased.without_in_id("visit:ann-annesley-7") == f"visit:{NOBODY}-7"
    assert erased.without_in_id("visit_ann-annesley_7") == f"visit_{NOBODY}_7"
    assert erased.without_in_id("visit:joann-annesley2:42") == "visit:joann-annesley2:42"
    assert erased.without_as_id("ann-annesley") == NOBODY
    assert erased.without_as_id("ann-annesley-2") == "ann-annesley-2"
    assert erased.without_as_id("42") == "42"
