"""Templates and types, without a database."""

import pytest

from nova.features.notifications import templates
from nova.features.notifications.catalogue import (
    Kind,
    NoTemplate,
    Wording,
    built_in,
    prepare,
    someone,
)
from nova.features.notifications.templates import BadTemplate
from nova.kernel.placeholders import MOST_INSERTED

WHO = {"actor.name": "Ada", "someone": "Someone", "related_entity_id": "post-1"}


def filled(text: str, metadata: object = None, **values: str | None) -> str:
    return templates.read(text).fill({**WHO, **values}, metadata, 512)


def test_placeholders_are_filled_in() -> None:
    said = filled("{actor.name} liked {metadata.post.title}", {"post": {"title": "Tea"}})
    assert said == "Ada liked Tea"


def test_what_is_missing_leaves_no_gap() -> None:
    assert filled("{actor.name} wrote {metadata.text}.") == "Ada wrote."
    assert filled("{actor.name} liked {metadata.title|your post}") == "Ada liked your post"
    assert filled("{actor.name} follows you", **{"actor.name": None}) == "Someone follows you"


def test_braces_can_be_written() -> None:
    assert filled("{{{actor.name}}}") == "{Ada}"


def test_a_value_is_never_read_as_a_template_again() -> None:
    assert filled("{metadata.x}", {"x": "{actor.name}"}) == "{actor.name}"


@pytest.mark.parametrize(
    "text",
    ["{actor.__class__}", "{actor.nme}", "{metadata.}", "{metadata}", "{", "}", "{actor.name", ""],
)
def test_bad_placeholders_are_refused_and_nothing_is_evaluated(text: str) -> None:
    if text:
        with pytest.raises(BadTemplate):
            templates.read(text)
    else:
        assert filled(text) == ""


def test_a_typo_is_answered_with_what_was_meant() -> None:
    with pytest.raises(BadTemplate, match=r"did you mean \{actor.name\}"):
        templates.read("{actor.nam}")


def test_underscores_in_metadata_are_only_keys() -> None:
    assert filled("<{metadata.__class__}>", {"a": 1}) == "<>"


def test_objects_and_lists_are_not_read_aloud() -> None:
    assert filled("{metadata.x|nothing}", {"x": {"secret": 1}}) == "nothing"
    assert filled("{metadata.x|nothing}", {"x": [1]}) == "nothing"
    assert filled("{metadata.x}", {"x": 7}) == "7"


def test_a_long_text_is_cut() -> None:
    text = templates.read("{metadata.x}").fill(WHO, {"x": "a" * 9_000}, 20)
    assert text == "a" * 19 + "…"


@pytest.mark.parametrize("name", sorted(built_in()))
@pytest.mark.parametrize("locale", ["en", "de", "fr", "es"])
def test_built_in_types_speak_four_languages(name: str, locale: str) -> None:
    served, title, body = prepare(name, built_in()[name]).worded(f"{locale}-XX")
    assert served == locale
    said = title.fill({"actor.name": None, "someone": someone(served)}, None, 512)
    assert someone(locale) in said
    assert "  " not in said
    assert body.fill(WHO, None, 512) == ""


def test_a_locale_falls_back_to_its_language_and_then_to_the_types_own() -> None:
    kind = Kind(
        templates={"de": Wording("A"), "de-CH": Wording("B"), "it": Wording("C")}, fallback="it"
    )
    ready = prepare("x", kind)
    assert [ready.worded(each)[0] for each in ("de-CH", "de_AT", "ja", None)] == [
        "de-ch",
        "de",
        "it",
        "it",
    ]


@pytest.mark.parametrize(
    ("wanted", "locale"),
    [
        *(("zh-Hant-TW", "zh-tw"), ("zh-HK", "zh-tw"), ("iw", "he"), ("no", "nb"), ("nn_NO", "nb")),
        *(("pt-PT", "pt-br"), ("en-GB", "en"), ("ja", "en"), ("x", "en")),
    ],
)
def test_a_reader_gets_the_nearest_language(wanted: str, locale: str) -> None:
    names = ("en", "he", "nb", "pt-BR", "zh-TW")
    kind = Kind(templates={each: Wording(each, each, many=each) for each in names})
    ready = prepare("x", kind)
    served, title, _ = ready.worded(wanted)
    assert (served, title.fill({}, None, 9).lower()) == (locale, locale)
    assert ready.titled_for_many(served) is not title


def test_names_turn_nothing_round_that_stands_beside_them() -> None:
    assert filled("{actor.name} liked it", **{"actor.name": "أحمد"}) == "\u2068أحمد\u2069 liked it"
    assert filled("{metadata.x}!", {"x": "\u202eabc"}) == "abc!"
    assert filled("{metadata.x}", {"x": "\u2067سلام\u202e"}) == "سلام"
    assert filled("{actor.name}: {metadata.x}", {"x": "José 李雷 🎉"}) == "Ada: José 李雷 🎉"
    kind = Kind(templates={"he": Wording("{actor.name} אהבה"), "en": Wording("x")})
    _, title, _ = prepare("x", kind).worded("iw")
    assert title.fill({"actor.name": "Ada"}, None, 512) == "\u2068Ada\u2069 אהבה"
    assert title.fill({"actor.name": "עדה"}, None, 512) == "עדה אהבה"


def test_a_cut_text_ends_between_visible_characters_and_closes_what_it_opened() -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    assert filled("{metadata.x}", {"x": family * 200}) == family * 73 + "…"
    longer = templates.read("{metadata.x}").fill(WHO, {"x": family * 200}, 2_000)
    assert longer == family * (MOST_INSERTED // len(family))
    assert templates.read("a{metadata.x}").fill(WHO, {"x": family * 9}, 15) == f"a{family}…"
    cut = templates.read("a {metadata.x}").fill(WHO, {"x": "سلام " * 9}, 20)
    assert cut == "a \u2068" + "سلام سلام سلام"[:14] + "…\u2069"


def test_the_fallback_needs_a_template() -> None:
    with pytest.raises(NoTemplate, match="'en'"):
        prepare("x", Kind(templates={"de": Wording("A")}))


def test_what_is_missing_keeps_the_lines_around_it_apart() -> None:
    said = templates.read("Hello {recipient.name},\n\n{metadata.text}\n\nBye {metadata.x} .")
    assert said.fill({"recipient.name": "Ben"}, {"text": "a\nb"}, 100) == (
        "Hello Ben,\n\na\nb\n\nBye."
    )
