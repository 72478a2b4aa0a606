"""Posts to webhooks, to addresses that were looked at first."""

import ssl
from collections.abc import Mapping, Sequence

from nova.kernel.clock import Clock
from nova.kernel.text import beginning_of
from nova.ports.carriers import Outcome, Verdict
from nova.ports.hooks import ForbiddenUrl
from nova.wire.addresses import ForbiddenAddress, Guard, canonical, place
from nova.wire.exchange import Lost, Reply, Unsent, once
from nova.wire.origin import Bounds
from nova.wire.outcomes import lost, outcome, retry_after, unsent
from nova.wire.outgoing import Outgoing, trust

DEADLINE_S = 12.0
MOST_SAID = 200
"""Bytes of a refusal's body that the log keeps."""


class Poster:
    """The guard stands in front of every call: names are resolved, held against it, and pinned."""

    def __init__(
        self, clock: Clock, *, networks: Sequence[str] = (), tls: ssl.SSLContext | None = None
    ) -> None:
        """`networks` are one's own that may be called, over http:// too."""
        self._clock = clock
        self._guard = Guard(also=networks, plain=bool(networks))
        self._outgoing = Outgoing(
            guard=self._guard,
            tls=tls or trust(),
            bounds=Bounds(connections=4, waiting=200, deadline_s=DEADLINE_S, reply_bytes=4_096),
        )

    def check(self, url: str) -> str:
        try:
            spelled = canonical(url)
            self._guard.check(place(spelled))
        except ForbiddenAddress as wrong:
            raise ForbiddenUrl(f"Nova does not call it: {wrong}.") from None
        return spelled

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        steady = ((b"content-type", b"application/json"), (b"user-agent", b"Nova"))
        own = tuple(once(name.encode(), value.encode()) for name, value in headers.items())
        try:
            reply = await self._outgoing.post(url, steady, body, own=own)
        except ForbiddenAddress as wrong:
            return outcome(Verdict.REFUSED, "forbidden_address", f"Nova does not call it: {wrong}.")
        except Unsent as wrong:
            return unsent(wrong)
        except Lost as wrong:
            return lost(wrong)
        return self._said(reply)

    def _said(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:  # noqa: PLR2004  # HTTP
            return outcome(Verdict.SENT, str(reply.status), "")
        text = beginning_of(reply.body, MOST_SAID)
        if reply.status == 410:  # noqa: PLR2004  # Gone: it wants no more (Standard Webhooks)
            return outcome(Verdict.GONE, "410", text)
        pause = retry_after(reply.headers.get(b"retry-after"), self._clock.now())
        return outcome(Verdict.RETRY, str(reply.status), text, retry_after_s=pause)

    async def close(self) -> None:
        await self._outgoing.close()
