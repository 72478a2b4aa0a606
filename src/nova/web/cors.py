"""Cross-origin calls from browsers: allowed for the origins that were named, and no others."""

from collections.abc import Mapping, Sequence

from nova.web.problems import Answer, Headers

_EXPOSED = b"etag, idempotency-replayed, retry-after, x-trace-id"
_ALLOWED = b"authorization, content-type, idempotency-key, traceparent"
_KEPT_S = b"600"


class Origins:
    """The web origins whose pages may call the API; "*" names all. No cookies are involved."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._all = "*" in allowed
        self._allowed = frozenset(one.rstrip("/").encode() for one in allowed)

    def headers(self, origin: bytes) -> Headers:
        """Return what an answer to a page of this origin carries."""
        if not self._allows(origin):
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
        if origin is not None and self._allows(origin):
            answer.headers += [
                (b"access-control-allow-methods", allow.encode()),
                (b"access-control-allow-headers", _ALLOWED),
                (b"access-control-max-age", _KEPT_S),
            ]
        return answer

    def _allows(self, origin: bytes) -> bool:
        return self._all or origin in self._allowed
