"""The carrier to browsers: encrypts, signs, and posts to the endpoint each of them named."""

import ssl
from datetime import datetime

from nova.adapters.webpush.encryption import BadKeys, Sealer, browser
from nova.adapters.webpush.rules import payload, topic, ttl, verdict
from nova.adapters.webpush.vapid import Vapid
from nova.kernel.clock import Clock
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.addresses import ForbiddenAddress, Guard, place
from nova.wire.exchange import Header, once
from nova.wire.origin import Bounds
from nova.wire.outcomes import expired, judged, outcome
from nova.wire.outgoing import Outgoing

_ALWAYS: tuple[Header, ...] = (
    (b"content-type", b"application/octet-stream"),
    (b"content-encoding", b"aes128gcm"),
)
_URGENT: tuple[Header, ...] = (*_ALWAYS, (b"urgency", b"high"))
_CALM: tuple[Header, ...] = (*_ALWAYS, (b"urgency", b"normal"))


class WebPush:
    """Sends to push services over the addresses that browsers gave."""

    name = "webpush"

    def __init__(
        self,
        vapid: Vapid,
        *,
        guard: Guard,
        tls: ssl.SSLContext,
        clock: Clock,
        bounds: Bounds | None = None,
    ) -> None:
        self._vapid = vapid
        self._clock = clock
        self._sealer = Sealer(clock)
        self._outgoing = Outgoing(guard=guard, tls=tls, bounds=bounds or Bounds(connections=8))

    async def send(self, parcel: Parcel) -> Outcome:
        now = self._clock.now()
        seconds = ttl(parcel.expires_at, now)
        if seconds <= 0:
            return expired(parcel.expires_at)
        plain = payload(parcel)
        if plain is None:
            return outcome(Verdict.REFUSED, "payload_too_large", "Its data exceeds 3993 bytes.")
        return await judged(self._send(parcel, plain, seconds, now))

    async def _send(self, parcel: Parcel, plain: bytes, seconds: int, now: datetime) -> Outcome:
        keys = parcel.target.keys
        try:
            where = place(parcel.target.address)
            body = self._sealer.seal(plain, browser(keys["p256dh"], keys["auth"]))
            origin = f"{'https' if where.tls else 'http'}://{where.authority}"
            steady = (*(_URGENT if parcel.urgent else _CALM), self._vapid.header(origin))
            own = (once(b"ttl", b"%d" % seconds), once(b"topic", topic(parcel.collapse_id)))
            reply = await self._outgoing.post(where, steady, body, own=own)
        except (BadKeys, KeyError):
            # A subscription that no browser can have made: nothing can ever reach it.
            return outcome(Verdict.GONE, "bad_keys", "The subscription's keys are not keys.")
        except ForbiddenAddress as wrong:
            # The address is at fault, not this message: it is not tried again.
            return outcome(Verdict.GONE, "forbidden_address", f"Nova does not call it: {wrong}.")
        return verdict(reply.status, reply.headers, reply.body, now)

    async def ping(self) -> str:
        """Say how browsers subscribe; which services will be called is not known beforehand."""
        return f"ready; applicationServerKey {self._vapid.public}"

    async def close(self) -> None:
        await self._outgoing.close()
