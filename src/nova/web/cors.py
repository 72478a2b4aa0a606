"""Cross-origin calls from browsers: allowed for the origins that were named, and no others."""

from collections.abc import Mapping, Sequence

from nova.web.allowed_hosts import Once, OriginNotAllowed, is_own
from nova.web.problems import Answer, Headers

_EXPOSED = b"etag, idempotency-replayed, retry-after, x-trace-id"
_ALLOWED = b"authorization, content-type, idempotency-key, traceparent"
_KEPT_S = b"600"


class Origins:
    """The web origins whose pages may call the API; "*" names all. No cookies are involved."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._all = "*" in allowed
        self._allowed = frozenset(one.rstrip("/").encode() for one in allowed)
        self._once = Once("origin_refused", OriginNotAllowed.hint)

    def headers(self, origin: bytes, host: bytes = b"") -> Headers:
        """Return what an answer to a page of this origin carries."""
        if not self._allows(origin):
            if not _is_own(origin, host):
                self._once.tell(origin=origin.decode("latin-1")[:255])
            return [(b"vary", b"origin")] if self._allowed else []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]

    def preflight(self, headers: Mapping[bytes, bytes], allow: str) -> Answer:
        """Answer OPTIONS, with what a browser asks before it calls."""
        answer = Answer(204, [(b"allow", allow.encode())], b"")
        origin = headers.get(b"origin")
        if b"access-control-request-method" in headers and origin is not None:
            self._check(origin, headers.get(b"host", b""))
        if origin is not None and self._allows(origin):
            answer.headers += [
                (b"access-control-allow-methods", allow.encode()),
                (b"access-control-allow-headers", _ALLOWED),
                (b"access-control-max-age", _KEPT_S),
            ]
        return answer

    def _check(self, origin: bytes, host: bytes) -> None:
        if not (self._allows(origin) or _is_own(origin, host)):
            raise OriginNotAllowed(f"Pages of {origin.decode('latin-1')[:255]} may not call.")

    def _allows(self, origin: bytes) -> bool:
        return self._all or origin in self._allowed


def _is_own(origin: bytes, host: bytes) -> bool:
    return is_own(origin.decode("latin-1"), host.decode("latin-1"))
