"""Whatever people write fits into what providers take, and is cut where it hurts least."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from nova.adapters.apns import rules as apns
from nova.adapters.fcm import rules as fcm
from nova.adapters.webpush import rules as webpush
from nova.kernel.text import beginning
from nova.ports.carriers import Parcel, Target
from nova.wire.fitting import LEAST_TITLE, fitted, shortened
from support.carried import parcel

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SEEN_AS_ONE = (
    *("a", "я", "中", "語", "ก", "म", "한", "ب", "\\", '"', "<", "\x01", "𝄞", "😀"),
    *("é", "กำ", "नि", "한", "👩‍👩‍👧‍👦", "👍🏽", "❤️", "🇺🇦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "z" + "̀" * 9),
)
WORDS = some.lists(some.sampled_from(SEEN_AS_ONE), max_size=40)
TITLES = some.tuples(WORDS, some.integers(1, 13)).map(lambda given: given[0] * given[1])
BODIES = some.tuples(WORDS, some.integers(1, 250)).map(lambda given: given[0] * given[1])
PATHS = some.one_of(
    some.none(),
    some.tuples(some.sampled_from(["a", "%", "ü", "中", "😀"]), some.integers(0, 2_028)).map(
        lambda given: "https://example.com/" + given[0] * given[1]
    ),
)
DATA = {
    "notification": str(uuid4()),
    "delivery": str(uuid4()),
    "actor_id": str(uuid4()),
    "type": "t" * 64,
    "related_entity_id": "中" * 128,
}


class Shown(msgspec.Struct):
    """What a device would show."""

    title: str
    body: str
    url: str | None


def by_apns(given: Parcel) -> tuple[int, Shown]:
    pushed = apns.push(given)
    assert pushed is not None
    payload = msgspec.json.decode(pushed.payload)
    alert = payload["aps"].get("alert", {"title": "", "body": ""})
    return len(pushed.payload), Shown(alert["title"], alert["body"], payload.get("url"))


def by_fcm(given: Parcel) -> tuple[int, Shown]:
    encoded = fcm.message(given, NOW)
    assert encoded is not None
    message = msgspec.json.decode(encoded)["message"]
    counted = {name: message[name] for name in ("data", "notification") if name in message}
    alert = message.get("notification", {"title": "", "body": ""})
    shown = Shown(alert["title"], alert["body"], message["data"].get("url"))
    return len(msgspec.json.encode(counted)), shown


def by_web_push(given: Parcel) -> tuple[int, Shown]:
    encoded = webpush.payload(given)
    assert encoded is not None
    alert = msgspec.json.decode(encoded)["notification"]
    return len(encoded), Shown(alert["title"], alert["body"], alert.get("navigate"))


PROVIDERS: Sequence[Any] = [
    pytest.param("ios", by_apns, apns.MOST_BYTES, id="apns"),
    pytest.param("android", by_fcm, fcm.MOST_BYTES, id="fcm"),
    pytest.param("web", by_web_push, webpush.BRIDGED_PLAIN, id="webpush"),
]


def written(platform: Any, title: Sequence[str], body: Sequence[str], url: str | None) -> Parcel:
    return parcel(
        Target(uuid4(), platform, "token"),
        title="".join(title),
        body="".join(body),
        url=url,
        data=DATA,
        expires_at=NOW + timedelta(hours=1),
    )


@pytest.mark.parametrize(("platform", "sends", "most"), PROVIDERS)
@example(words=([], ["a"] * 40), url="https://example.com/" + "😀" * 850)  # FCM and APNs
@example(words=([], ["a"] * 40), url="https://example.com/" + "😀" * 465)  # Web Push
@given(words=some.tuples(TITLES, BODIES), url=PATHS)
def test_whatever_people_write_is_sent_and_cut_in_order(
    platform: str,
    sends: Callable[[Parcel], tuple[int, Shown]],
    most: int,
    words: tuple[list[str], list[str]],
    url: str | None,
) -> None:
    title, body = words
    whole = written(platform, title, body, url)
    size, shown = sends(whole)
    assert size <= most
    assert sends(whole) == (size, shown)
    for text, seen in ((title, shown.title), (body, shown.body)):
        assert is_beginning(seen, text)
    assert bool(shown.title or shown.body) is bool(title or body)
    if shown.url is not None:
        first, seen = (title, shown.title) if title else (body, shown.body)
        assert len(seen) >= min(LEAST_TITLE, len("".join(first)))
    if shown.title != whole.title:
        assert shown.body == ""
        assert shown.url is None or len(shown.title) >= LEAST_TITLE
    if shown.url != url:
        assert shown.url is None
        assert len(whole.title.encode()) + len((url or "").encode()) > most // 2


def is_beginning(shown: str, of: Sequence[str]) -> bool:
    """Tell whether a text ends where a visible character does."""
    if shown == "".join(of):
        return True
    ends = {0, *accumulate(map(len, of))}
    kept = shown.removesuffix("…")
    return not shown or ("".join(of).startswith(kept) and len(kept) in ends)


@given(text=some.lists(some.sampled_from(SEEN_AS_ONE)), most=some.integers(12, 60))
def test_a_beginning_ends_between_what_people_see_as_characters(text: list[str], most: int) -> None:
    kept = beginning("".join(text), most)
    assert len(kept) <= most
    assert is_beginning(kept, text)


@given(some.integers(0, 60))
def test_what_is_cut_leaves_no_isolate_open(room: int) -> None:
    cut = shortened("Ada \u2068" + "سلام " * 20 + "\u2069 said", room)
    assert len(cut.encode()) <= room
    assert cut.count("\u2068") == cut.count("\u2069")


@pytest.mark.parametrize(("platform", "sends", "most"), PROVIDERS)
def test_a_long_address_stays_as_long_as_the_title_is_worth_reading(
    platform: str, sends: Callable[[Parcel], tuple[int, Shown]], most: int
) -> None:
    fits = written(platform, "語" * 512, "body" * 100, "https://example.com/" + "a" * 900)
    _, shown = sends(fits)
    assert shown.url == fits.url
    assert shown.title.startswith("語" * LEAST_TITLE)
    too_long = written(platform, "語" * 512, "body" * 999, "https://example.com/" + "中" * 2_000)
    size, shown = sends(too_long)
    assert shown.url is None
    assert len(shown.title) > 400
    assert size > most - 60  # what the address leaves is used


def test_what_has_too_much_data_is_not_made_silent() -> None:
    given = written("ios", "title", "body", None)
    assert fitted(given, 3, lambda each: 4 + len(each.title)) is None
