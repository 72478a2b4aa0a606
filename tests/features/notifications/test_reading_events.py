"""Bodies of POST /v1/events: shapes, bounds and bad input."""

import json
from typing import Any

import pytest

from nova.features.notifications.catalogue import UnknownType, built_in, prepare
from nova.features.notifications.ingest import (
    BadEvent,
    NoEvents,
    TooManyEvents,
    check,
    read,
)
from nova.features.notifications.models import Event
from nova.kernel.errors import BigMetadata, Malformed, Refused

TYPES = {name: prepare(name, kind) for name, kind in built_in().items()}
GOOD = {"id": "e1", "event_type": "like", "recipient_id": "ben", "actor_id": "ada"}
CLOUD = {
    "specversion": "1.0",
    "id": "42",
    "source": "/posts",
    "type": "com.example.like",
    "subject": "post-9",
    "time": "2026-11-24T10:00:00+02:00",
    "comexampleextension": "ignored",
    "data": {"recipient_id": "ben", "metadata": {"title": "Tea"}},
}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def with_x(raw: bytes) -> bytes:
    return body(GOOD)[:-1] + b', "metadata": {"x": ' + raw + b"}}"


def one(value: Any) -> Event | Refused:
    events, _ = read(body(value))
    assert len(events) == 1
    return events[0]


def test_one_event_a_list_and_an_envelope_are_read() -> None:
    assert read(body(GOOD))[1] is False
    assert read(body([GOOD, GOOD])) == (read(body({"events": [GOOD, GOOD]}))[0], True)
    event = one(GOOD)
    assert isinstance(event, Event)
    assert (event.id, event.recipient_id, event.metadata) == ("e1", "ben", {})


def test_a_cloud_event_is_read() -> None:
    event = one(CLOUD)
    assert isinstance(event, Event)
    assert event.id == "/posts 42"
    assert (event.event_type, event.related_entity_id) == ("like", "post-9")
    assert event.timestamp is not None
    assert event.timestamp.isoformat() == "2026-11-24T10:00:00+02:00"
    assert event.metadata == {"title": "Tea"}


def test_shapes_may_be_mixed_in_a_list_and_each_has_its_own_refusal() -> None:
    events, is_list = read(body([GOOD, CLOUD, {"id": "x"}, 7, "text"]))
    assert is_list
    assert [type(each) for each in events] == [Event, Event, BadEvent, BadEvent, BadEvent]


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"source": "two words"},
        {"data": None},
        {"datacontenttype": "text/plain"},
        {"time": "yesterday"},
    ],
)
def test_bad_cloud_events_are_refused(change: dict[str, Any]) -> None:
    assert isinstance(one(CLOUD | change), BadEvent)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": 7},
        {"id": "x" * 257},
        {"recipient_id": "x" * 129},
        {"recipient": "typo"},
        {"timestamp": "2026-11-24T10:00:00"},
        {"timestamp": "then"},
        {"metadata": []},
        {"metadata": {"n": 2**53}},
        {"metadata": {"n": 10**400}},
        {"metadata": {"k" * 129: 1}},
        {"metadata": {"deep": [[[[[[[1]]]]]]]}},
    ],
)
def test_bad_events_are_refused(change: dict[str, Any]) -> None:
    assert isinstance(one(GOOD | change), BadEvent)


@pytest.mark.parametrize("raw", [b'"\xff"', b"1e400", b"9" * 5_000, b"[" * 50 + b"]" * 50])
def test_bad_values_are_refused_and_their_neighbours_are_not(raw: bytes) -> None:
    good = body(GOOD)
    events, _ = read(b"[" + good + b"," + with_x(raw) + b"]")
    assert isinstance(events[0], Event)
    assert isinstance(events[1], BadEvent)


@pytest.mark.parametrize("raw", [b'"\\ud800"', b"NaN", b"[" * 100_000 + b"]" * 100_000])
def test_what_is_not_json_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read(b"[" + body(GOOD) + b"," + with_x(raw) + b"]")


def test_a_list_has_bounds() -> None:
    with pytest.raises(TooManyEvents):
        read(body([GOOD] * 1001))
    with pytest.raises(NoEvents):
        read(b"[]")
    assert len(read(body([GOOD] * 1000))[0]) == 1000


def test_an_unknown_type_is_refused_with_the_way_to_mend_it() -> None:
    event = one(GOOD | {"event_type": "lik"})
    assert isinstance(event, Event)
    with pytest.raises(UnknownType, match=r"did you mean 'like'\?.*PUT") as refused:
        check(event, TYPES)
    assert "follow" in str(refused.value.extra["registered"])


@pytest.mark.parametrize(
    "change", [{"id": "a\0"}, {"metadata": {"x": ["\0"]}}, {"metadata": {"\0": 1}}]
)
def test_nul_is_refused(change: dict[str, Any]) -> None:
    event = one(GOOD | change)
    assert isinstance(event, Event)
    with pytest.raises(BadEvent, match=r"U\+0000"):
        check(event, TYPES)


def test_the_text_backslash_u0000_is_fine() -> None:
    event = one(GOOD | {"metadata": {"x": "\\u0000"}})
    assert isinstance(event, Event)
    assert check(event, TYPES).event is event


def test_big_metadata_is_refused() -> None:
    event = one(GOOD | {"metadata": {str(n): "x" * 3_000 for n in range(3)}})
    assert isinstance(event, Event)
    with pytest.raises(BigMetadata):
        check(event, TYPES)


def test_the_order_of_keys_makes_no_other_event_but_a_value_does() -> None:
    def digest(metadata: dict[str, int]) -> bytes:
        event = one(GOOD | {"metadata": metadata})
        assert isinstance(event, Event)
        return check(event, TYPES).digest

    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1, "b": 2}) != digest({"a": 1, "b": 3})


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_not_within_the_years_of_utc_is_refused(when: str) -> None:
    event = one(GOOD | {"timestamp": when})
    assert isinstance(event, Event)
    with pytest.raises(BadEvent, match="years"):
        check(event, TYPES)
