"""Every reader is served in the language that is nearest to their own."""

import pytest

from nova.kernel.locales import right_to_left, served, words_of


@pytest.mark.parametrize(
    ("wanted", "available", "best"),
    [
        ("de", "de en", "de"),
        ("de_AT", "de en", "de"),
        ("de-u-co-phonebk", "de en", "de"),
        ("zh-Hant-TW", "zh zh-tw en", "zh-tw"),
        ("zh-HK", "zh-cn zh-tw", "zh-tw"),
        ("zh-Hant-HK", "zh zh-hk zh-tw", "zh-hk"),
        ("zh-Hans-SG", "zh-tw zh-cn", "zh-cn"),
        ("zh-TW", "zh en", "zh"),
        ("zh", "zh-tw en", "zh-tw"),
        ("cmn-Hant", "zh-tw en", "zh-tw"),
        ("yue", "zh-hk en", "zh-hk"),
        ("yue-HK", "zh zh-tw en", "zh-tw"),
        ("yue", "zh en", "zh"),
        ("yue-CN", "zh-tw zh-cn", "zh-cn"),
        ("iw", "he en", "he"),
        ("he", "iw en", "iw"),
        ("no", "nb en", "nb"),
        ("nn", "nb en", "nb"),
        ("nn-NO", "nn nb", "nn"),
        ("nb", "no en", "no"),
        ("in", "id en", "id"),
        ("ji", "yi en", "yi"),
        ("tl", "fil en", "fil"),
        ("sh", "sr-latn en", "sr-latn"),
        ("mo", "ro en", "ro"),
        ("pt", "pt-br en", "pt-br"),
        ("pt-AO", "pt-br pt-pt", "pt-pt"),
        ("es-MX", "es es-419", "es-419"),
        ("en-AU", "en en-gb", "en-gb"),
        ("fr-CA", "fr en", "fr"),
        ("sr-Latn", "sr en", "sr"),
        ("az-Arab", "az en", "az"),
        ("ja", "de en", None),
        ("uk", "ru en", None),
        ("ca", "es en", None),
        ("da", "nb en", None),
        ("", "en", None),
        ("no such tag!", "en", None),
        ("xx-weird-zz", "xx-weird en", "xx-weird"),
    ],
)
def test_a_reader_is_served(wanted: str, available: str, best: str | None) -> None:
    assert served(wanted, frozenset(available.split())) == best


def test_words_are_english_where_nothing_is_nearer() -> None:
    words = {"en": "Open", "de": "Öffnen", "nb": "Åpne"}
    assert [words_of(words, each) for each in ("gsw", "no", "ja", "de-ch")] == [
        "Öffnen",
        "Åpne",
        "Open",
        "Öffnen",
    ]


@pytest.mark.parametrize(
    "locale", ["ar", "ar-eg", "he", "iw", "fa", "ur", "ckb", "dv", "az-Arab", "yi", "ps"]
)
def test_languages_from_right_to_left(locale: str) -> None:
    assert right_to_left(locale)


@pytest.mark.parametrize("locale", ["en", "zh-tw", "ar-Latn", "az", "hi", "no such tag!", ""])
def test_languages_from_left_to_right(locale: str) -> None:
    assert not right_to_left(locale)
