"""Find mentions and hashtags in text of any script (UAX 29, UAX 31)."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from unicodedata import normalize

import regex

from nova.kernel.text import folded

MOST_MENTIONS = 20
MOST_TAGS = 30
MOST_ID = 128
MOST_READINGS = 40
"""Names that one mention may be read as."""
MOST_TAG = 64
MOST_SIGNS = 100
"""Signs of mentions, and of hashtags, that are looked at in a text."""
_MOST_LOCAL = 64
"""Characters before the sign of a mail address (RFC 5321)."""

_ATS = r"@\uff20\ufe6b"
_HASHES = r"#\uff03\ufe5f"
_JOINERS = r"\u200c\u200d"
_WORD = rf"\p{{L}}\p{{N}}\p{{M}}_{_JOINERS}"
# Written without blanks between words, or with endings that stand after foreign names.
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Hangul}\p{Yi}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Tham}\p{Tai_Le}\p{New_Tai_Lue}\p{Tibetan}"
)
# Within words, never at their ends (UAX 31, table 3a): the middle dot, the Hebrew maqaf, geresh and
# gershayim, the Tibetan tsheg and the middle dot of Katakana.
_MEDIAL = r"·\u05be\u05f3\u05f4\u0f0b\u0f0c\u30fb\uff65"
_SIGN = regex.compile(f"[{_ATS}]")
_NAME = regex.compile(rf"[{_WORD}][{_WORD}{_MEDIAL}.\-]*")
# Where a name may end: before a change of script, in writing without blanks after each character.
_PIECE = regex.compile(
    rf"(?<mark>[{_MEDIAL}.\-]+)"
    rf"|[{_UNSPACED}][\p{{M}}\p{{N}}_{_JOINERS}]*"
    rf"|[\p{{Latin}}\p{{N}}_][\p{{Latin}}\p{{N}}\p{{M}}_{_JOINERS}]*"
    rf"|(?:(?![{_UNSPACED}\p{{Latin}}])[{_WORD}])+"
)
_LOCAL = regex.compile(rf"[{_WORD}.!#$%&'*+/=?^`{{|}}~\-]+\Z")
_AFTER_SIGN = regex.compile(rf"[{_ATS}{_HASHES}]\Z")
_AFTER_LATIN = regex.compile(rf"[\p{{Latin}}\p{{N}}][\p{{M}}{_JOINERS}]*\Z")
_AFTER_WORD = regex.compile(rf"[{_WORD}--_]\Z", regex.V1)
_LABEL = rf"[{_WORD}\-]{{1,63}}+"
_DOMAIN = regex.compile(rf"(?:{_LABEL}\.)++(?:\p{{L}}[\p{{L}}\p{{M}}]++|xn--[a-z0-9\-]++)")
# After a name of another server: `@ada@example.com`, and `@ada:example.com` as Matrix has it.
_HANDLE = regex.compile(rf"[{_ATS}][{_WORD}]|:{_DOMAIN.pattern}(?![{_WORD}])")
_URL = regex.compile(
    rf"""(?:
        (?<![a-z0-9])(?:[a-z][a-z0-9+.\-]{{0,31}}+://|//|www\d{{0,3}}+\.)
      | (?<![{_WORD}{_ATS}.\-])
        (?:(?:{_LABEL}\.)*+(?:\p{{L}}[\p{{L}}\p{{M}}]++|[0-9]++)(?::[0-9]{{1,5}}+)?(?=[/?\#])
           (?<=[.:][{_WORD}]++|localhost))
    )[a-z0-9\-._~:/?\#\[\]@!$&'()*+,;=%\p{{L}}\p{{M}}\p{{N}}\p{{So}}{_JOINERS}]*+""",
    regex.VERBOSE | regex.IGNORECASE,
)

_HASH = regex.compile(f"[{_HASHES}]")
_TAG = regex.compile(
    rf"(?:(?<![{_WORD}&/{_HASHES}{_ATS}])|(?<=[{_UNSPACED}]\p{{M}}*))"
    rf"[{_HASHES}](?<tag>[\p{{L}}\p{{N}}_]"
    rf"(?:[\p{{L}}\p{{N}}\p{{M}}_]|[{_JOINERS}{_MEDIAL}](?=[{_WORD}]))*+)"
    rf"[{_HASHES}]?"
)
# Scripts whose letters look otherwise beside a joiner (UAX 31, 2.3).
_SHAPED = (
    r"\p{Arabic}\p{Syriac}\p{Mandaic}\p{Nko}\p{Mongolian}\p{Phags_Pa}\p{Adlam}\p{Hanifi_Rohingya}"
    r"\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}\p{Telugu}\p{Kannada}"
    r"\p{Malayalam}\p{Sinhala}\p{Myanmar}\p{Khmer}\p{Tibetan}\p{Javanese}\p{Balinese}"
)
_UNSEEN = regex.compile(
    rf"(?<![{_SHAPED}]\p{{M}}*)[{_JOINERS}]+|[[\p{{L}}\p{{M}}]&&\p{{Default_Ignorable_Code_Point}}]+",
    regex.V1,
)
_MARKS = regex.compile(rf"[\p{{M}}{_MEDIAL}]+")
# Marks of direction and the like, which keyboards put beside a sign, and the selectors of emoji's
# look; ZWSP parts words.
_UNHEARD = regex.compile(
    rf"(?:[\ufe0e\ufe0f]|[[\p{{Cf}}&&\p{{Default_Ignorable_Code_Point}}]--[{_JOINERS}\u200b]])+",
    regex.V1,
)
_KEYCAP = regex.compile(r"[0-9#*]\u20e3")
_LOOSE = regex.compile(rf"\A[{_MEDIAL}]+|[{_MEDIAL}](?![{_WORD}])")


def mentions(text: str) -> list[tuple[str, ...]]:
    """Return what each `@` may name, the longest reading first; the first twenty mentions.

    `@ada.b` names `ada.b`, or else `ada`. Mail addresses and URLs name nobody.
    """
    if not _SIGN.search(text):
        return []
    found: dict[tuple[str, ...], None] = {}
    for readings in _mentions(_plain(text)):
        found[readings] = None
        if len(found) == MOST_MENTIONS:
            break
    return list(found)


def _mentions(text: str) -> Iterator[tuple[str, ...]]:
    urls = _Urls(text)
    named = handle = -2
    for sign in islice(_SIGN.finditer(text), MOST_SIGNS):
        at = sign.start()
        name = _NAME.match(text, at + 1)
        if name is None or urls.hold(at):
            continue
        if _HANDLE.match(text, name.end()):
            handle = name.end()
        elif at != handle:
            readings = _read(text, at, name[0], after_mention=at == named + 1)
            if readings:
                yield readings
        named = name.end()


def _read(text: str, at: int, name: str, *, after_mention: bool) -> tuple[str, ...]:
    """Return what a name may be short for, by what stands before its sign."""
    before = text[max(0, at - _MOST_LOCAL) : at]
    if _AFTER_SIGN.search(before) or (before[-1:] == "/" and not after_mention):
        return ()
    if not before or not (local := _LOCAL.search(before)):
        quoted = before[-1:] == '"' and '"' in before[:-1] and _DOMAIN.match(name)
        return () if quoted else _readings(name)
    if _AFTER_LATIN.search(before):
        return ()
    if _DOMAIN.match(name) and regex.search(r"[\p{L}\p{N}]", local[0]):
        # Where no blank is needed before a mention, it may still be all of a name.
        return _readings(name)[:1] if _AFTER_WORD.search(before) else ()
    return _readings(name)


def _readings(name: str) -> tuple[str, ...]:
    """Return the beginnings of a name that may be names, the longest first."""
    ends: list[int] = []
    for piece in _PIECE.finditer(name[:MOST_ID]):
        if piece["mark"] is None:
            bare = len(name[: piece.end()].rstrip("_"))
            ends += [bare, piece.end()] if piece.start() < bare < piece.end() else [piece.end()]
    if len(name) > MOST_ID and ends and ends[-1] == MOST_ID:
        ends.pop()  # in the middle of a word, perhaps
    return tuple(name[:end] for end in reversed(ends[:MOST_READINGS]))


def tags(text: str) -> list[str]:
    """Return the hashtags of a text as they are kept, each once; digits alone are none."""
    if not _HASH.search(text):
        return []
    text = _plain(text)
    urls = _Urls(text)
    found: dict[str, None] = {}
    for match in islice(_TAG.finditer(text), MOST_SIGNS):
        tag = None if urls.hold(match.start()) else _kept(match["tag"])
        if tag is not None:
            found[tag] = None
            if len(found) == MOST_TAGS:
                break
    return list(found)


def tag(name: str) -> str | None:
    """Return a hashtag as it is kept, from its name; None for what can be none."""
    match = _TAG.fullmatch("#" + _plain(name))
    return _kept(match["tag"]) if match is not None and match["tag"] == match[0][1:] else None


class _Urls:
    """The URLs of a text; asked about places in their order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: deque[tuple[int, int]] | None = None

    def hold(self, at: int) -> bool:
        """Tell whether a URL goes on at a place; after a blank, as most signs are, none does."""
        if at == 0 or self._text[at - 1].isspace():
            return False
        if self._spans is None:
            self._spans = deque(each.span() for each in _URL.finditer(self._text))
        while self._spans and self._spans[0][1] <= at:
            self._spans.popleft()
        return bool(self._spans) and self._spans[0][0] <= at


def _plain(text: str) -> str:
    """Return the text without what nobody sees, and with blanks in place of keycaps: no letters."""
    if text.isascii():
        return text
    return normalize("NFC", _KEYCAP.sub(" ", _UNHEARD.sub("", text)))


def _kept(name: str) -> str | None:
    if len(name) > 2 * MOST_TAG:
        return None
    tag = folded(_LOOSE.sub("", _UNSEEN.sub("", folded(name))))
    seen = _MARKS.sub("", tag)
    return tag if seen and not seen.isdigit() and len(tag) <= MOST_TAG else None
