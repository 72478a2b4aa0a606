"""Refusals as problem documents (RFC 9457)."""

from collections.abc import Iterator
from math import ceil

import msgspec
from msgspec import Struct

from nova.kernel.errors import Refused, Unauthenticated
from nova.web.router import MethodNotAllowed

Headers = list[tuple[bytes, bytes]]

_encode = msgspec.json.Encoder().encode


class Answer(Struct, gc=False):
    """What goes back to the client; content-length and the trace are added when it is sent."""

    status: int
    headers: Headers
    body: bytes


class Broken(Refused):
    """Nova failed; its log has the error under the trace id."""

    status, code = 500, "internal_error"
    hint = "Report it with the trace id. Retrying may help."


class TooLarge(Refused):
    """The body is longer than this route takes."""

    status, code = 413, "body_too_large"


class TooSlow(Refused):
    """The body did not arrive in time."""

    status, code = 408, "body_too_slow"


class UnsupportedMedia(Refused):
    """The body is not plain JSON."""

    status, code = 415, "unsupported_media_type"
    hint = "Send 'Content-Type: application/json', UTF-8, without Content-Encoding."


class Overloaded(Refused):
    """Nova is handling as many requests as it can; nothing was accepted, so try again."""

    status, code = 503, "overloaded"


def title(kind: type[Refused]) -> str:
    """Return the sentence that is the same for every problem of this kind."""
    return (kind.__doc__ or kind.code).strip().splitlines()[0]


def problem(refused: Refused, trace_id: str) -> Answer:
    """Return the problem document of a refusal, with the headers that belong to it."""
    kind = type(refused)
    members: dict[str, object] = {
        "type": f"/docs/problems#{kind.code}",
        "title": title(kind),
        "status": kind.status,
        "detail": refused.detail,
        "code": kind.code,
        "hint": kind.hint,
        "trace_id": trace_id,
    }
    headers: Headers = [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if refused.retry_after is not None:
        members["retry_after"] = refused.retry_after
        headers.append((b"retry-after", b"%d" % max(1, ceil(refused.retry_after))))
    if isinstance(refused, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(refused, MethodNotAllowed):
        headers.append((b"allow", refused.allow.encode()))
    members.update({name: value for name, value in refused.extra.items() if name not in members})
    return Answer(kind.status, headers, _encode(members))


def kinds(*packages: str) -> Iterator[type[Refused]]:
    """Yield each kind of refusal that these packages define and that was imported, by code."""
    found: list[type[Refused]] = []
    queue = Refused.__subclasses__()
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        # Without a code of its own, it is a case of the kind above it.
        if kind.__module__.startswith(packages) and "code" in vars(kind):
            found.append(kind)
    yield from sorted(found, key=lambda kind: kind.code)
