"""Access tokens for a service account (RFC 7523): fetched once, however many ask."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from nova.kernel.choices import choices
from nova.kernel.clock import Clock
from nova.kernel.text import beginning_of, spelled
from nova.wire.exchange import Header, Lost, Unsent
from nova.wire.jws import BadKey, rs256, rsa_key
from nova.wire.outgoing import Outgoing

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
RENEW_S = 300.0
"""Before its end, a token is renewed while it still serves."""
_ASSERTION_S = 3600
_FORM: tuple[Header, ...] = ((b"content-type", b"application/x-www-form-urlencoded"),)
_OK, _TOO_MANY, _FAULTY = 200, 429, 500


class ServiceAccount(Struct, frozen=True):
    """The file that Google's console hands out, as far as it is needed."""

    project_id: Annotated[str, spelled(r"\A[a-z0-9:.-]{1,64}\Z", "the id of a project")]
    private_key: str
    private_key_id: str
    client_email: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address


class NotAuthorised(Exception):
    """Google does not accept the service account; says why."""


class _Granted(Struct):
    access_token: str
    expires_in: float = 3600.0


def service_account(document: bytes | str) -> ServiceAccount:
    """Read a service account's JSON; raises BadKey."""
    try:
        return msgspec.json.decode(document, type=ServiceAccount)
    except msgspec.ValidationError as wrong:
        says = choices(ServiceAccount).named(wrong)
        raise BadKey(f"not the JSON file of a service account: {says}") from wrong
    except msgspec.MsgspecError as wrong:
        raise BadKey(f"not the JSON file of a service account: {wrong}") from wrong


class AccessTokens:
    """The token in force. A renewal that fails leaves the old token in use until its end."""

    def __init__(self, account: ServiceAccount, outgoing: Outgoing, clock: Clock) -> None:
        """Raises BadKey for an account whose key cannot be read."""
        self._account = account
        self._key = rsa_key(account.private_key)
        self._outgoing = outgoing
        self._clock = clock
        self._header: Header | None = None
        self._until = 0.0
        self._fetching: asyncio.Task[Header] | None = None

    async def header(self) -> Header:
        """Return the Authorization header; raises NotAuthorised, Unsent or Lost."""
        left = self._until - self._clock.monotonic()
        if self._header is not None and left > 0:
            if left < RENEW_S and self._fetching is None:
                self._fetch().add_done_callback(_look_at)
            return self._header
        return await asyncio.shield(self._fetching or self._fetch())

    def drop(self, refused: Header) -> None:
        """Forget a token that FCM did not accept."""
        if self._header is refused:
            self._header = None

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def _fetch(self) -> "asyncio.Task[Header]":
        self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> Header:
        try:
            granted = await self._ask()
        finally:
            self._fetching = None
        header = (b"authorization", b"Bearer " + granted.access_token.encode())
        self._header = header
        self._until = self._clock.monotonic() + granted.expires_in
        return header

    def assertion(self) -> bytes:
        """Return the signed claim by which a token is asked for."""
        now = int(self._clock.now().timestamp())
        claims: Mapping[str, Any] = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + _ASSERTION_S,
        }
        return rs256(self._key, {"kid": self._account.private_key_id}, claims)

    async def _ask(self) -> _Granted:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self.assertion().decode(),
        }
        body = urlencode(form).encode()
        try:
            reply = await self._outgoing.post(self._account.token_uri, _FORM, body)
        except Lost as wrong:
            # No message was on its way yet, only the question for a token.
            raise Unsent(f"no access token: {wrong}") from wrong
        if reply.status == _OK:
            return msgspec.json.decode(reply.body, type=_Granted)
        said = beginning_of(reply.body, 300)
        if reply.status >= _FAULTY or reply.status == _TOO_MANY:
            raise Unsent(f"no access token: {reply.status} {said}", 10.0)
        raise NotAuthorised(f"Google gave no access token: {reply.status} {said}")


def _look_at(done: "asyncio.Task[Header]") -> None:
    """Take note of a failed renewal ahead of time; whoever needs the token tries again."""
    if not done.cancelled():
        done.exception()
