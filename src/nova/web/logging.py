"""Logs, in which no secret appears: JSON objects for programs, or text for people at a terminal."""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, BinaryIO

import msgspec
import structlog

from nova.web import log_text

REDACTED = "[redacted]"
_FIELD = re.compile(
    r"(?:^|_)(?:authorization|cookie|password|secret|tokens?|api_?key|key)$", re.IGNORECASE
)
_VALUE = re.compile(
    # a value in a query, by its name; the name stays
    r"(?i:([?&;][\w.-]*(?:token|secret|key|password|signature|session|cf_connect)=))[^&\s\"']+"
    r"|(?i:(/unsubscribe/+))[^/\s?\"']+"
    r"|(/)[^/\s?#\"']{48,}"  # a segment of a path too long for a name: a token of some kind
    r"|nova_sk_[\w-]+"  # a server key
    r"|eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|(?i:bearer)\s+[\w.~+/=-]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # user and password of an address
)
_encode = msgspec.json.Encoder(enc_hook=str).encode


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blot out secrets, by the names of fields and by the looks of values."""
    for name, value in event.items():
        event[name] = REDACTED if _FIELD.search(name) and value is not None else _clean(value)
    return event


def names_secret(name: str) -> bool:
    """Return whether what goes by this name is a secret."""
    return _FIELD.search(name) is not None


def _blot(found: re.Match[str]) -> str:
    return next(filter(None, found.groups()), "") + REDACTED


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _VALUE.sub(_blot, value)
    if isinstance(value, bytes):
        return _VALUE.sub(_blot, value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return dict(redact(None, "", {str(name): one for name, one in value.items()}))
    if isinstance(value, list | tuple | set):
        return [_clean(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _VALUE.sub(_blot, str(value))


def _json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)


def _text(
    _logger: object, _method: str, event: MutableMapping[str, Any], *, coloured: bool
) -> bytes:
    return log_text.line(event, coloured=coloured)


class _Passed(logging.Handler):
    """Hands the standard library's records on, so that libraries log like Nova does."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def configure(
    *, level: int = logging.INFO, stream: BinaryIO | None = None, form: str = "auto"
) -> None:
    """Log to `stream` (standard error) from now on, in the whole process.

    `form` is `text`, `json`, or `auto`: text in a terminal, and JSON elsewhere. Colours are used in
    a terminal only, and not where NO_COLOR is set (no-color.org).
    """
    stream = stream or sys.stderr.buffer
    in_terminal = stream.isatty()
    coloured = in_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    is_text = form == "text" or (form == "auto" and in_terminal)
    structlog.configure(
        cache_logger_on_first_use=False,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            partial(_text, coloured=coloured) if is_text else _json,
        ],
        logger_factory=structlog.BytesLoggerFactory(stream),
    )
    root = logging.getLogger()
    root.handlers = [_Passed()]
    root.setLevel(logging.WARNING)
    # What clients send is counted as 4xx; a line for each would let them fill the disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
