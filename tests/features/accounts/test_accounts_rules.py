from typing import Any
from zoneinfo import available_timezones

import pytest

from nova.features.accounts import rules
from nova.features.accounts.models import Fields
from nova.kernel.errors import InvalidField

ZONES = available_timezones()


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        ("EN", "en"),
        ("pt_br", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("en-u-ca-buddhist", "en-u-ca-buddhist"),
        ("en-x-shop", "en-x-shop"),
    ],
)
def test_a_locale_is_kept_in_its_usual_case(given: str, usual: str) -> None:
    assert rules.locale(given) == usual


@pytest.mark.parametrize("text", ["", "e", "english language", "en--US", "en-", "-en", "日本", "x"])
def test_what_is_no_language_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="BCP 47"):
        rules.locale(text)


def test_time_zones_are_ianas() -> None:
    assert rules.timezone("Europe/Lisbon", ZONES) == "Europe/Lisbon"
    for wrong in ("Europe/Atlantis", "../etc/passwd", "GMT+25", "europe/lisbon"):
        with pytest.raises(InvalidField):
            rules.timezone(wrong, ZONES)


@pytest.mark.parametrize("name", ["  ", "\u3164", "\u200b", "A\u202eda", "A\u2067da", "A\u2028da"])
def test_a_name_that_cannot_be_shown_safely_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="A name has"):
        rules.written(Fields(name=name), "ada", ZONES)


@pytest.mark.parametrize(
    "address",
    [
        *("ada@faß.de", "用户@例子.广告", "a@b", "ada@xn--fa-hia.de", "ada.+o'hara=x@b.c"),
        *('"ada(lovelace)"@b.c', "a..b.@b.c", "محمد\u200cعلی@b.c", r'"a\"b"@b.c'),
    ],
)
def test_an_address_is_kept_as_it_was_given(address: str) -> None:
    assert rules.written(Fields(email=address), "ada", ZONES).email == address


@pytest.mark.parametrize(
    "address",
    [
        *("a@b..c", "a@-b.c", "a@b.", "a@[1.2.3.4]", "a@i❤.ws", "a@" + "b" * 64, "ü" * 33 + "@b.c"),
        *("a\u202eda@b.c", "ada\u200b@b.c", "\ufeffada@b.c", "a\u00a0b@b.c", "ada\ue000@b.c"),
        *("ada(x)@b.c", 'ada"@b.c', '"ada@b.c', '"a"b"@b.c', "a\\da@b.c", "mailto:ada@b.c"),
    ],
)
def test_an_address_that_no_mail_can_reach_is_refused(address: str) -> None:
    with pytest.raises(InvalidField):
        rules.written(Fields(email=address), "ada", ZONES)


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth > 1 else {"a": 1}


def test_a_profile_is_bounded_in_size_and_depth() -> None:
    assert rules.profile({"a": [1, {"b": None}]}) == '{"a":[1,{"b":null}]}'
    rules.profile(nested(8))
    for wrong in (nested(9), {"a": "x" * 8200}):
        with pytest.raises(InvalidField):
            rules.profile(wrong)


def test_left_out_keeps_and_null_clears() -> None:
    kept = rules.written(Fields(), "ada", ZONES)
    assert (kept.external_id, kept.name, kept.locale, kept.profile) == ("ada", None, None, None)
    cleared = rules.written(Fields(name=None, avatar_url=None, profile=None), None, ZONES)
    assert (cleared.external_id, cleared.name, cleared.profile) == (None, "", "{}")


def test_words_of_the_paths_are_no_ids() -> None:
    with pytest.raises(InvalidField):
        rules.written(Fields(), "me", ZONES)


@pytest.mark.parametrize("url", ["https://", "https://[half", "http:///x"])
def test_an_avatar_needs_a_host(url: str) -> None:
    with pytest.raises(InvalidField):
        rules.avatar(url)
