"""Mentions and hashtags are found in the writing of the whole world."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.features.posts import mentions_and_hashtags, rules
from nova.features.posts.rules import NoSuchTag


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@ada and @ben", [["ada"], ["ben"]]),
        ("@ada, @ada.", [["ada"]]),
        ("@größe @gro\u0308ße", [["größe"]]),
        ("@Ada", [["Ada"]]),
        ("\uff20ada \ufe6bben", [["ada"], ["ben"]]),
        ("_@ada_", [["ada_", "ada"]]),
        (".@ada *@ben* ~@cleo…", [["ada"], ["ben"], ["cleo"]]),
        ("@ada's “@ben” (@cleo)", [["ada"], ["ben"], ["cleo"]]),
        ("@ada/@ben", [["ada"], ["ben"]]),
        ("@ada: look, @ben:look @cleo:1.5", [["ada"], ["ben"], ["cleo"]]),
        ("🎉@ada🎉", [["ada"]]),
        (
            "@first.last! @ada-lovelace: @a·b",
            [["first.last", "first"], ["ada-lovelace", "ada"], ["a·b", "a"]],
        ),
        ("@adaさん", [["adaさん", "adaさ", "ada"]]),
        ("@ada님", [["ada님", "ada"]]),
        ("@adaко", [["adaко", "ada"]]),
        ("@李雷你", [["李雷你", "李雷", "李"]]),
        ("@कि", [["कि"]]),
        ("@คำครับ"[:3], [["คำ", "ค"]]),
        ("你好@ada", [["ada"]]),
        ("สวัสดี@ada", [["ada"]]),
        ("привет@ada ל@ben", [["ada"], ["ben"]]),
        ("@\u2068ada\u2069 @\u200fبدر", [["ada"], ["بدر"]]),
        ("@ada\u200bさん", [["ada"]]),
        ("❤\ufe0f@ada❤\ufe0f 1\ufe0f\u20e3@ben2\ufe0f\u20e3", [["ada"], ["ben"]]),
        ("@ה״ש @བོད་ཡིག་ @ada・", [["ה״ש", "ה"], ["བོད་ཡིག", "བོད་ཡི", "བོད", "བོ"], ["ada"]]),
        (" ".join(f"@p{n}" for n in range(50)), [[f"p{n}"] for n in range(20)]),
    ],
)
def test_mentions(text: str, named: list[list[str]]) -> None:
    assert [list(each) for each in mentions_and_hashtags.mentions(text)] == named


@pytest.mark.parametrize(
    "text",
    [
        *("ada@example.org", "a@b", "john_@example.com", "a+b-@example.com", "mailto:x@ada.org"),
        *('"john doe"@example.com', "josé@example.com", "ada\u00ad@ben"),
        *("@test@example.com", "@李雷@example.com", "@ada@ben"),
        *("@test:example.com", "@test:matrix.example.org!", "ask @李雷:例子.测试"),
        *("https://example.org/@ada", "https://ada:pw@ada/@ben?x=@cleo#@dora", "HTTP://X/,@ada"),
        *("www.example.org/@ada", "example.org/@ada", "see 例子.测试/@ada", "//example.org/@ada"),
        *("localhost:8080/@ada", "192.168.0.1/@ada", "http://[::1]/@ada", "example.org?u=@ada"),
        *("看https://example.com/你好@ada", "users/@ada", "/@ada", "ftp.example.org#@ada"),
        *("@", "@@ada", "#@ada", "@ ada", "@\u0301"[:1], "@-", "@…"),
    ],
)
def test_neither_addresses_nor_urls_name_anybody(text: str) -> None:
    assert mentions_and_hashtags.mentions(text) == []


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("用户@例子.广告", ["例子.广告"]),
        ("почта@пример.рф", ["пример.рф"]),
        ("你好@ada.lovelace", ["ada.lovelace"]),
    ],
)
def test_what_may_be_an_address_names_whom_it_names_in_full_only(
    text: str, readings: list[str]
) -> None:
    assert [list(each) for each in mentions_and_hashtags.mentions(text)] == [readings]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#Harbour at #dusk #DUSK", ["harbour", "dusk"]),
        ("no. #1, but #1st and #_x, not #1\ufe0f\u20e3 #²", ["1st", "_x"]),
        ("a#b C#foo &#39; https://example.org/#top example.org/?q=#foo /#x @#y", []),
        ("#" + "a" * 64, ["a" * 64]),
        ("#" + "a" * 65, []),
        ("#" + "ß" * 33, []),
        ("#straße #STRASSE", ["strasse"]),
        ("#İstanbul", ["i\u0307stanbul"]),
        ("#हिन्दी #ภาษาไทย #မြန်မာ #ភាសាខ្មែរ", ["हिन्दी", "ภาษาไทย", "မြန်မာ", "ភាសាខ្មែរ"]),
        ("#مَرْحَبًا #שָׁלוֹם #\u200fסוף", ["مَرْحَبًا", normalize("NFC", "שָׁלוֹם"), "סוף"]),
        ("#می\u200cخواهم #র\u200d্যাম #ශ්\u200dරී", ["می\u200cخواهم", "র\u200d্যাম", "ශ්\u200dරී"]),
        ("#a\u200db #ab #\u3164 #x\u3164y", ["ab", "xy"]),
        (
            "\uff03東京 \ufe5fx #\uff21\uff42\uff43 #\uff80\uff78\uff9e",
            ["東京", "x", "abc", "タグ"],
        ),
        ("#cafe\u0301 #CAFÉ", ["café"]),
        ("你好#标签#你好", ["标签"]),
        ("#hello🎉 #🎉 #️⃣ #foo-bar", ["hello", "foo"]),
        ("❤\ufe0f#love\ufe0f 1\ufe0f\u20e3#one2\ufe0f\u20e3 ☀\ufe0e#sun", ["love", "one", "sun"]),
        ("#צה״ל #col·lecció #བོད་ཡིག་ #アナ・雪 #ｱﾅ･雪", ["צה״ל", "col·lecció", "བོད་ཡིག", "アナ・雪"]),
        ("#a·\u3164 #a·\u3164·b #\u3164·c #1·2 #東京・#大阪", ["a", "a·b", "c", "東京", "大阪"]),
    ],
)
def test_tags(text: str, tags: list[str]) -> None:
    assert mentions_and_hashtags.tags(text) == tags


TEXTS = st.text(
    st.one_of(
        st.sampled_from(
            "#\uff03@\uff20./:_-·・״\u20e3 \u200c\u200d\u0301\ufe0f\u3164ßİΣςǰﷺｱﾞ1٣²हिन्दीกำ"
        ),
        st.characters(codec="utf-8"),
    )
)


@given(TEXTS)
def test_the_page_of_every_tag_opens(text: str) -> None:
    found = mentions_and_hashtags.tags(text)
    assert len(found) <= mentions_and_hashtags.MOST_TAGS
    for each in found:
        assert rules.tag(each) == rules.tag(each.upper()) == each or rules.tag(each) == each
        assert rules.tag(normalize("NFD", each)) == each
        assert mentions_and_hashtags.tags(f"#{each}") == [each]


@pytest.mark.parametrize("name", ["", "1", "a b", "a#", "#a", "a-b", "\u3164", "\u0301", "a" * 65])
def test_what_can_be_no_tag_has_no_page(name: str) -> None:
    with pytest.raises(NoSuchTag):
        rules.tag(name)


@given(TEXTS)
def test_any_text_can_be_read(text: str) -> None:
    found = mentions_and_hashtags.mentions(text)
    assert len(found) <= mentions_and_hashtags.MOST_MENTIONS
    for readings in found:
        assert 0 < len(readings) <= mentions_and_hashtags.MOST_READINGS
        assert sorted(readings, key=len, reverse=True) == list(readings)
        assert all(
            readings[0].startswith(each) and len(each) <= mentions_and_hashtags.MOST_ID
            for each in readings
        )
    excerpt = rules.excerpt(text)
    assert len(excerpt) <= rules.EXCERPT
    assert len(excerpt.splitlines()) <= 1


@given(TEXTS, st.sampled_from(["ada", "李雷", "बदर", "بدر", "Ädä", "a.b-c"]))
def test_a_name_alone_is_read_in_full_first(before: str, name: str) -> None:
    found = mentions_and_hashtags.mentions(f"@{name} {before}")
    assert normalize("NFC", found[0][0]) == normalize("NFC", name)


def test_an_excerpt_is_cut_between_visible_characters() -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    said = rules.excerpt("a" + family * 60)
    assert said == "a" + family * ((rules.EXCERPT - 2) // len(family)) + "…"
    assert rules.excerpt(" \n" * 500 + "well\u202e said") == "well said"
