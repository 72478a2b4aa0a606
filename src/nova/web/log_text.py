"""Log lines for people at a terminal: time, level, event, then its fields."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_BLOCKS = ("exception", "stack")
"""Fields of several lines, which stand below."""
_PLAIN = re.compile(r"[^\s\"'=]+")
_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_LEVEL_WIDTH = len("critical")


def line(event: Mapping[str, Any], *, coloured: bool) -> bytes:
    """Return an event as text. Nothing in its fields can move the cursor or end the line."""
    left = dict(event)
    time = str(left.pop("timestamp", ""))[:19].replace("T", " ")
    level, name = str(left.pop("level", "")), _printable(str(left.pop("event", "")))
    below = [str(left.pop(each)) for each in _BLOCKS if left.get(each) is not None]
    shown = f"{level:<{_LEVEL_WIDTH}}"
    if coloured:
        time, name = f"{_DIM}{time}{_RESET}", f"{_BOLD}{name}{_RESET}"
        shown = f"{_COLOURS.get(level, '')}{shown}{_RESET}"
    first = " ".join([time, shown, name, *_fields(left)])
    blocks = [f"    {_printable(each)}" for text in below for each in text.splitlines()]
    return "\n".join([first, *blocks]).encode()


def _fields(event: Mapping[str, Any]) -> Iterator[str]:
    for name, value in event.items():
        text = (
            value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
        )
        if isinstance(value, str) and not _PLAIN.fullmatch(text):
            text = msgspec.json.encode(text).decode()
        yield f"{_printable(name)}={_printable(text)}"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
