"""The carrier to devices that a Firebase project knows."""

import ssl
from datetime import datetime

from nova.adapters.fcm.oauth import AccessTokens, NotAuthorised, ServiceAccount
from nova.adapters.fcm.rules import TOKEN, message, verdict
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.addresses import place
from nova.wire.exchange import Header, Reply, Request, Unsent
from nova.wire.origin import Bounds
from nova.wire.outcomes import expired, judged, outcome
from nova.wire.outgoing import Outgoing, origin

HOST = "https://fcm.googleapis.com"
_JSON: Header = (b"content-type", b"application/json")
_UNAUTHENTICATED = 401


class FcmUnreachable(Unavailable):
    """FCM cannot be reached, or does not accept the service account."""

    code = "fcm_unreachable"
    hint = "Nova needs outgoing connections to Google's hosts, and the service account's file."


class Fcm:
    """Sends messages one by one over one connection: FCM has no batches any more."""

    name = "fcm"

    def __init__(
        self,
        account: ServiceAccount,
        *,
        tls: ssl.SSLContext,
        clock: Clock,
        host: str = HOST,
        bounds: Bounds | None = None,
    ) -> None:
        """Raises BadKey for an account whose key cannot be read."""
        self._clock = clock
        self._path = f"/v1/projects/{account.project_id}/messages:send".encode()
        limits = bounds or Bounds()
        self._client = origin(place(host), tls=tls, bounds=limits, plain="h2")
        self._outgoing = Outgoing(guard=None, tls=tls, bounds=Bounds(deadline_s=limits.deadline_s))
        self.tokens = AccessTokens(account, self._outgoing, clock)

    async def send(self, parcel: Parcel) -> Outcome:
        now = self._clock.now()
        if parcel.expires_at <= now:
            return expired(parcel.expires_at)
        if not TOKEN.fullmatch(parcel.target.address):
            return outcome(Verdict.GONE, "bad_token", "The address is no registration token.")
        body = message(parcel, now)
        if body is None:
            return outcome(Verdict.REFUSED, "payload_too_large", "Its data exceeds 4096 bytes.")
        return await judged(self._send(body, now))

    async def _send(self, body: bytes, now: datetime) -> Outcome:
        try:
            reply = await self._post(body)
        except NotAuthorised as wrong:
            return outcome(Verdict.MISCONFIGURED, "not_authorised", str(wrong))
        return verdict(reply.status, reply.headers, reply.body, now)

    async def _post(self, body: bytes) -> Reply:
        authorization = await self.tokens.header()
        reply = await self._ask(authorization, body)
        if reply.status == _UNAUTHENTICATED and b"FcmError" not in reply.body:
            # The token was withdrawn before its time: one more, and once more.
            self.tokens.drop(authorization)
            reply = await self._ask(await self.tokens.header(), body)
        return reply

    async def _ask(self, authorization: Header, body: bytes) -> Reply:
        request = Request(self._path, (authorization, _JSON), body=body, steady_path=True)
        return await self._client.send(request)

    async def ping(self) -> str:
        """Get a token, and connect."""
        try:
            await self.tokens.header()
            await self._client.ping()
        except (NotAuthorised, Unsent) as wrong:
            raise FcmUnreachable(str(wrong)) from wrong
        return f"connected to {self._client.authority}"

    async def close(self) -> None:
        await self.tokens.close()
        await self._client.close()
        await self._outgoing.close()
