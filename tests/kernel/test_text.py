"""Texts of any script: cut between visible characters, folded, and safe beside other texts."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.kernel.bidi import isolated, unclosed, undirected
from nova.kernel.text import beginning, folded, name_problem, name_shown, shortened

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
AS_ONE = (
    *("a", "中", "\r\n", "e\u0301", "กำ", "नि", "क्षि", "한", "\u1112\u1161\u11ab", "র\u200d", "ქ"),
    *(FAMILY, "👍🏽", "❤️", "🇨🇭", "🇺🇦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1\ufe0f\u20e3", "\u06001", "z" + "\u0300" * 9),
)
"""What people see as one character (UAX 29, GraphemeBreakTest)."""
CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
MIXED = st.text(st.sampled_from("ab אב ع1\n\u2029" + CONTROLS))


@pytest.mark.parametrize("one", AS_ONE)
def test_what_is_seen_as_one_character_is_kept_or_left_out(one: str) -> None:
    for most in range(1, len(one)):
        assert beginning(f"{one}x", most) == ""
        assert beginning(f"x{one}{one}", 1 + len(one) + most) == f"x{one}"


@given(st.lists(st.sampled_from([*AS_ONE, "🇨🇭" * 40])), st.integers(1, 300))
def test_a_cut_comes_between_visible_characters(ones: list[str], most: int) -> None:
    text = "a".join(["", *ones, ""])
    kept = beginning(text, most)
    assert len(kept) <= most
    assert text.startswith(kept)
    ends, at = {0}, 0
    for one in ones:
        ends |= {at, at + 1}
        at += 1
        ends |= {at + end for end in range(0, len(one) + 1, 2)} if len(one) > 32 else set()
        at += len(one)
    ends |= {at, at + 1}
    assert len(kept) in ends


def test_the_flags_before_a_cut_are_counted_from_their_first() -> None:
    flags = "🇨🇭" * 100
    assert beginning("a" + flags, 100) == "a" + "🇨🇭" * 49
    assert beginning(flags, 101) == "🇨🇭" * 50


def test_what_stacks_up_without_end_is_cut_anywhere() -> None:
    assert len(beginning("z" + "\u0300" * 1_000, 100)) == 100


@given(st.text(st.sampled_from("ab \u2067\u2068\u2069")), st.integers(4, 30))
def test_a_cut_leaves_no_isolate_open(text: str, most: int) -> None:
    cut = shortened(text, most)
    if len(text) > most:
        assert "…" in cut
        assert unclosed(cut) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("ADA", "ada"), ("Straße", "STRASSE"), ("É", "e\u0301"), ("Ångström", "ÅNGSTRÖM")),
        *(("İ", "i\u0307"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("\uff21\uff24\uff21", "ada"), ("ﾀｸﾞ", "タグ")),
    ],
)
def test_texts_that_differ_in_case_width_or_composition_fold_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    once = folded(text)
    assert folded(once) == once == normalize("NFC", once)
    assert folded(normalize("NFD", text)) == once


@pytest.mark.parametrize(
    "name", ["Ada", "أحمد", "עדה", "अदिति", "😀", ".", "李雷", "O\u2019Neill", ""]
)
def test_names_are_shown_as_they_are(name: str) -> None:
    assert name_problem(name) is None
    assert name_shown(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(" ", "\u3000\u2003", "\u200b\u200d", "\u00ad", "\u2060\ufeff", "\u3164", "\u115f\uffa0"),
        *("\u2800", "\u0301", "\ufe0f", "\ufffc", "\U000e0041", "\u180e", "\u061c\u200f"),
    ],
)
def test_a_name_that_nobody_sees_is_none(name: str) -> None:
    assert name_problem(name) is not None
    assert name_shown(name) == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *((f"A{control}da", "Ada") for control in CONTROLS),
        *((f"A{end}da", "A da") for end in "\n\r\x0b\x85\u2028\u2029"),
        ("\u202e ", ""),
    ],
)
def test_a_name_that_turns_or_breaks_a_line_is_refused_and_shown_without(
    name: str, shown: str
) -> None:
    assert name_problem(name) is not None
    assert name_shown(name) == shown


def test_a_text_is_isolated_only_where_it_turns_what_stands_around_it() -> None:
    assert isolated("Ada 李雷 🎉") == "Ada 李雷 🎉"
    assert isolated("أحمد") == "\u2068أحمد\u2069"
    assert isolated("\u202eAda") == "Ada"
    assert isolated("a ב\nc") == "\u2068a ב\u2069\n\u2068c\u2069"
    assert isolated("Ada", within_rtl=True) == "\u2068Ada\u2069"
    assert isolated("أحمد علي", within_rtl=True) == "أحمد علي"


@given(MIXED, st.booleans())
def test_no_control_of_direction_gets_out_of_an_isolated_text(text: str, rtl: bool) -> None:
    said = isolated(text, within_rtl=rtl)
    assert undirected(said) == undirected(text)
    for line in said.splitlines():
        assert undirected(line) in (line, line[1:-1])
        assert unclosed(line) == ""
