"""Parcels that are larger than a provider takes: cut to fit, always in the same way."""

from bisect import bisect_right
from collections.abc import Callable

import msgspec
from msgspec import structs

from nova.kernel.bidi import unclosed
from nova.kernel.text import ELLIPSIS, beginning
from nova.ports.carriers import Parcel

LEAST_TITLE = 40
"""Code points of a title, or of a body without title, that say more than where a tap leads:
rather than them, the URL goes."""
_json = msgspec.json.Encoder().encode


def fitted(parcel: Parcel, most: int, size: Callable[[Parcel], int]) -> Parcel | None:
    """Return a parcel of at most so many bytes: first its body is cut, then its title.

    A URL that leaves too little of them goes, and makes room for both. None where its data alone
    are too large, so that nothing would be left to show.
    """
    cut = _cut(parcel, most, size)
    if parcel.url is None or (cut is not None and _says_enough(cut, parcel)):
        return cut
    return _cut(structs.replace(parcel, url=None), most, size)


def _says_enough(cut: Parcel, whole: Parcel) -> bool:
    field = "title" if whole.title else "body"
    kept, words = getattr(cut, field), getattr(whole, field)
    return len(kept) >= min(LEAST_TITLE, len(words))


def _cut(parcel: Parcel, most: int, size: Callable[[Parcel], int]) -> Parcel | None:
    shows = bool(parcel.title or parcel.body)
    for field in ("body", "title"):
        if size(parcel) <= most:
            break
        # A text of one byte, since some providers are told nothing at all of an empty one.
        room = most - size(structs.replace(parcel, **{field: "x"})) + 1
        parcel = structs.replace(parcel, **{field: shortened(getattr(parcel, field), room)})
    if size(parcel) > most or bool(parcel.title or parcel.body) is not shows:
        return None
    return parcel


def shortened(text: str, room: int) -> str:
    """Return as much of a text as takes so many bytes in JSON, and an ellipsis where it is cut.

    Isolates (UAX 9) that the cut leaves open are closed.
    """
    if _bytes(text) <= room:
        return text
    kept = _within(text, room - _bytes(ELLIPSIS))
    if opened := unclosed(kept):
        kept = _within(text, room - _bytes(ELLIPSIS + opened))
    return kept + ELLIPSIS + unclosed(kept) if kept else ""


def _within(text: str, room: int) -> str:
    fits = bisect_right(range(len(text)), room, key=lambda count: _bytes(text[:count])) - 1
    return beginning(text, max(fits, 0)).rstrip()


def _bytes(text: str) -> int:
    return len(_json(text)) - 2
