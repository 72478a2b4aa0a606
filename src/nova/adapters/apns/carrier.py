"""The carrier to Apple's devices."""

import ssl
from collections.abc import Mapping

from nova.adapters.apns.rules import DEVICE_TOKEN, Push, collapse_id, push, rejected, verdict
from nova.adapters.apns.tokens import Tokens
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.addresses import place
from nova.wire.exchange import Header, Reply, Request, Unsent, once
from nova.wire.origin import Bounds, Origin
from nova.wire.outcomes import expired, judged, outcome
from nova.wire.outgoing import origin

HOSTS = {
    "production": "https://api.push.apple.com",
    "sandbox": "https://api.sandbox.push.apple.com",
}
_OTHER = {"production": "sandbox", "sandbox": "production"}
_MOST_REMEMBERED = 10_000
_REJECTED = 403


class ApnsUnreachable(Unavailable):
    """APNs cannot be reached."""

    code = "apns_unreachable"
    hint = "Nova needs outgoing connections to Apple's hosts, port 443 or 2197."


class Apns:
    """Keeps one connection to each host that is used."""

    name = "apns"

    def __init__(
        self,
        tokens: Tokens,
        *,
        topic: str,
        tls: ssl.SSLContext,
        clock: Clock,
        environment: str = "production",
        hosts: Mapping[str, str] = HOSTS,
        bounds: Bounds | None = None,
    ) -> None:
        """`topic` and `environment` hold for targets whose keys name none."""
        self._tokens = tokens
        self._topic = topic
        self._environment = environment
        self._clock = clock
        limits = bounds or Bounds()
        self._origins: dict[str, Origin] = {
            name: origin(place(url), tls=tls, bounds=limits, plain="h2")
            for name, url in hosts.items()
        }
        self._elsewhere: dict[str, str] = {}  # full: begins anew

    async def send(self, parcel: Parcel) -> Outcome:
        if parcel.expires_at <= self._clock.now():
            return expired(parcel.expires_at)
        token = parcel.target.address
        if not DEVICE_TOKEN.fullmatch(token):
            return outcome(Verdict.GONE, "bad_token", "The address is no device token.")
        rendered = push(parcel)
        if rendered is None:
            return outcome(Verdict.REFUSED, "PayloadTooLarge", "Its data exceeds 4096 bytes.")
        named = parcel.target.keys.get("environment", self._environment)
        environment = self._elsewhere.get(token, named)
        if environment not in self._origins:
            text = f"There is no environment {environment!r}."
            return outcome(Verdict.MISCONFIGURED, "bad_environment", text)
        return await judged(self._send(parcel, rendered, environment))

    async def _send(self, parcel: Parcel, rendered: Push, environment: str) -> Outcome:
        found = await self._try(parcel, rendered, environment)
        other = _OTHER.get(environment)
        if found.code != "BadDeviceToken" or other not in self._origins:
            return found
        # A token of the one environment is unknown to the other: look there, once.
        second = await self._try(parcel, rendered, other)
        if second.verdict is Verdict.SENT:
            if len(self._elsewhere) >= _MOST_REMEMBERED:
                self._elsewhere.clear()
            self._elsewhere[parcel.target.address] = other
        return second

    async def _try(self, parcel: Parcel, rendered: Push, environment: str) -> Outcome:
        authorization = self._tokens.header()
        reply = await self._post(parcel, rendered, environment, authorization)
        if (
            reply.status == _REJECTED
            and rejected(reply.body).reason == "ExpiredProviderToken"
            and self._tokens.renew(authorization)
        ):
            reply = await self._post(parcel, rendered, environment, self._tokens.header())
        return verdict(reply.status, reply.headers, reply.body, self._clock.now())

    async def _post(
        self, parcel: Parcel, rendered: Push, environment: str, authorization: Header
    ) -> Reply:
        topic = parcel.target.keys.get("topic", self._topic)
        request = Request(
            path=b"/3/device/" + parcel.target.address.encode(),
            steady=(
                authorization,
                (b"apns-topic", topic.encode()),
                (b"apns-push-type", rendered.kind.encode()),
                (b"apns-priority", rendered.priority),
            ),
            own=(
                once(b"apns-id", str(parcel.id).encode()),
                once(b"apns-expiration", b"%d" % parcel.expires_at.timestamp()),
                once(b"apns-collapse-id", collapse_id(parcel.collapse_id)),
            ),
            body=rendered.payload,
        )
        return await self._origins[environment].send(request)

    async def ping(self) -> str:
        """Connect where new devices are expected."""
        client = self._origins[self._environment]
        try:
            await client.ping()
        except Unsent as wrong:
            raise ApnsUnreachable(wrong.reason) from wrong
        return f"connected to {client.authority}"

    async def close(self) -> None:
        for client in self._origins.values():
            await client.close()
