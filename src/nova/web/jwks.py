"""Public keys of user tokens (RFC 7517): inline, or fetched from where the host app shows them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http.client import HTTPException
from ipaddress import ip_address
from time import monotonic
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from msgspec import Meta, Struct
from structlog import get_logger

from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable

PublicKey = RSAKey | ECKey | OKPKey

MOST_BYTES = 256 * 1024
MOST_KEYS = 100
MOST_TRIED = 8
"""Keys tried for one token: a set may hold several under one `kid`, or without any."""
MOST_WAITING = 100
"""Calls that wait for keys to be fetched; further ones are told to come back."""

Text = Annotated[str, Meta(max_length=256)]
Modulus = Annotated[str, Meta(min_length=342, max_length=1366)]  # 2048 to 8192 bits, base64url
Exponent = Annotated[str, Meta(max_length=8)]


class KeysUnavailable(Unavailable):
    """The public keys of user tokens could not be fetched yet."""

    code = "jwks_unavailable"
    hint = "Check that the address in `tokens.jwks_url` answers Nova; `nova doctor` tries it."


class KeySource(Protocol):
    """Where a token's public key comes from."""

    async def find(
        self, algorithm: str, kid: str | None, *, newer: bool = False
    ) -> Sequence[PublicKey]:
        """Return the keys that may have signed a token with this header; none when unknown.

        `newer`: none of those returned before verified the token, so look for newer ones first.
        """


class _Jwk(Struct, frozen=True):
    kty: Text
    kid: Text | None = None
    use: Text | None = None
    alg: Text | None = None
    crv: Text | None = None
    n: Modulus | None = None
    e: Exponent | None = None
    x: Text | None = None
    y: Text | None = None


class _JwkSet(Struct, frozen=True):
    keys: Annotated[list[msgspec.Raw], Meta(max_length=MOST_KEYS)]


class _Entry(Struct, frozen=True):
    key: PublicKey
    kid: str | None
    algorithms: tuple[str, ...]
    thumbprint: str


_MEMBERS = {
    ("RSA", None): (("RS256",), ("kty", "n", "e")),
    ("EC", "P-256"): (("ES256",), ("kty", "crv", "x", "y")),
    ("OKP", "Ed25519"): (("EdDSA", "Ed25519"), ("kty", "crv", "x")),
}
"""Key types understood: the algorithms they may verify, and the public members taken from them.

Everything else in a set is ignored, symmetric keys above all: a shared secret that stands in
a public document is none.
"""


class KeySet:
    """The keys of one JWKS document."""

    def __init__(self, document: bytes) -> None:
        """Raises ValueError when the document is not a JWKS or holds no usable key."""
        try:
            raw = msgspec.json.decode(document, type=_JwkSet).keys
        except (msgspec.MsgspecError, RecursionError) as wrong:
            raise ValueError(f"not a JWKS document: {wrong}") from wrong
        self._entries = [entry for each in raw if (entry := _entry(each)) is not None]
        if not self._entries:
            raise ValueError("the JWKS holds no usable key (RS256, ES256 or EdDSA)")

    def find(self, algorithm: str, kid: str | None) -> Sequence[PublicKey]:
        """Return the different keys of that `kid`, else those without; any, for no `kid`."""
        fitting = [each for each in self._entries if algorithm in each.algorithms]
        named = [each for each in fitting if kid is None or each.kid == kid]
        named = named or [each for each in fitting if each.kid is None]
        different = {each.thumbprint: each.key for each in named}
        return [*different.values()][:MOST_TRIED]


def _entry(raw: msgspec.Raw) -> _Entry | None:
    try:
        jwk = msgspec.json.decode(raw, type=_Jwk)
        algorithms, members = _MEMBERS[jwk.kty, None if jwk.kty == "RSA" else jwk.crv]
        if jwk.use not in {None, "sig"}:
            return None
        key = JWKRegistry.import_key({name: getattr(jwk, name) for name in members})
    except (msgspec.MsgspecError, RecursionError, KeyError, JoseError, ValueError, TypeError):
        return None
    if jwk.alg is not None:
        algorithms = tuple(each for each in algorithms if each == jwk.alg)
    if not isinstance(key, PublicKey):
        return None
    return _Entry(key, jwk.kid, algorithms, key.thumbprint())


class InlineKeys:
    """Keys that stand in the configuration."""

    def __init__(self, document: str | bytes) -> None:
        self._keys = KeySet(document.encode() if isinstance(document, str) else document)

    async def find(
        self, algorithm: str, kid: str | None, *, newer: bool = False
    ) -> Sequence[PublicKey]:
        return () if newer else self._keys.find(algorithm, kid)


class RemoteKeys:
    """Keys fetched from an address, and fetched again for a token that none of them verifies.

    Known keys stay in use while the address does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        refresh_s: float = 600.0,
        retry_s: float = 5.0,
        first_retry_s: float = 1.0,
        wait_s: float = 1.0,
    ) -> None:
        """Nobody waits for a fetch for longer than `wait_s`.

        Fetch anew after `refresh_s`, and for what no key verifies at most once per `retry_s`.

        Until the first success it is tried once per `first_retry_s`. Raises ValueError for an
        address that is neither https nor on this machine.
        """
        check_address(url)
        self.url = url
        self._clock = clock
        self._fetch = fetch or _fetch
        self._refresh_s, self._retry_s, self._first_retry_s = refresh_s, retry_s, first_retry_s
        self._wait_s = wait_s
        self._keys: KeySet | None = None
        self._tried: float | None = None
        self._fetched = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._problem = ""
        self._waiting = 0

    async def find(
        self, algorithm: str, kid: str | None, *, newer: bool = False
    ) -> Sequence[PublicKey]:
        """Return the keys that fit. Raises KeysUnavailable while none were ever fetched."""
        found = self._keys.find(algorithm, kid) if self._keys and not newer else ()
        if found:
            if self._age() >= self._refresh_s and self._may_try():
                self._begin()
            return found
        if self._fetching is not None or self._may_try():
            await self._fetched_soon()
        elif newer:
            return ()
        if self._keys is None:
            raise KeysUnavailable(
                f"No keys from {self.url}: {self._problem}", retry_after=self._first_retry_s
            )
        return self._keys.find(algorithm, kid)

    async def _fetched_soon(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise KeysUnavailable(
                f"Too many wait for keys from {self.url}.", retry_after=self._first_retry_s
            )
        self._waiting += 1
        try:
            done, _ = await asyncio.wait({self._begin()}, timeout=self._wait_s)
        finally:
            self._waiting -= 1
        if not done:
            raise KeysUnavailable(
                f"Keys from {self.url} take long to come.", retry_after=self._first_retry_s
            )

    async def ping(self) -> str:
        """Fetch now; return how many keys are known, or raise KeysUnavailable."""
        await asyncio.shield(self._begin())
        if self._problem:
            raise KeysUnavailable(f"No keys from {self.url}: {self._problem}")
        return self.url

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched

    def _may_try(self) -> bool:
        wait = self._first_retry_s if self._keys is None else self._retry_s
        return self._tried is None or self._clock.monotonic() - self._tried >= wait

    def _begin(self) -> asyncio.Task[None]:
        """Start a fetch, or join the one under way."""
        if self._fetching is None:
            self._tried = self._clock.monotonic()
            self._fetching = asyncio.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        try:
            self._keys = KeySet(await self._fetch(self.url))
        except (OSError, HTTPException, ValueError) as wrong:
            self._problem = str(wrong) or type(wrong).__name__
            get_logger().warning("jwks_fetch_failed", url=self.url, error=self._problem)
        else:
            self._problem = ""
            self._fetched = self._clock.monotonic()
        finally:
            self._fetching = None


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: keys come from the configured address or not at all."""


async def _fetch(url: str, *, timeout_s: float = 5.0) -> bytes:
    return await asyncio.to_thread(_download, url, timeout_s)


def _download(url: str, timeout_s: float) -> bytes:
    """Read a bounded document within a bounded time, however slowly its bytes drip."""
    deadline = monotonic() + timeout_s
    handlers: Sequence[Any] = [_NoRedirects()]
    if _is_local(url):
        handlers = [*handlers, ProxyHandler({})]
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  # checked: check_address
    document = b""
    with build_opener(*handlers).open(request, timeout=timeout_s) as answer:
        while part := answer.read1(65536):
            document += part
            if len(document) > MOST_BYTES:
                raise ValueError(f"the JWKS is larger than {MOST_BYTES} bytes")
            if monotonic() > deadline:
                raise TimeoutError(f"the JWKS took longer than {timeout_s:g} s")
    return document


def check_address(url: str) -> None:
    """Raise ValueError for an address that is neither https nor on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and _is_local(url))
    ):
        raise ValueError(f"{url}: keys are fetched over https, or over http from this machine")


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
