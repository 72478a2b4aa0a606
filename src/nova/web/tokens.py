"""User tokens and subscription tokens: JWTs that the host app signs (RFC 7519)."""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from time import time
from typing import Annotated, Any, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from msgspec import Meta, Struct

from nova.kernel.choices import choices
from nova.kernel.clock import Clock
from nova.kernel.errors import Refused, Unauthenticated
from nova.kernel.text import NO_NUL, Name, NameOrNone
from nova.web.jwks import KeySource, PublicKey

MOST_CHARACTERS = 8192
_PARTS = 3
_PUBLIC = ("RS256", "ES256", "EdDSA", "Ed25519")

Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Channel = Annotated[str, Meta(min_length=1, max_length=255), NO_NUL]


class TokenInvalid(Unauthenticated):
    """The token is not valid."""

    code = "token_invalid"
    hint = "`nova token check <token>` lists what is checked and what failed."

    def __init__(self, claim: str, detail: str) -> None:
        """`claim` is the part of the token that failed: `alg`, `signature`, `exp`, …."""
        super().__init__(detail, claim=claim)
        self.claim = claim


class TokenExpired(TokenInvalid):
    """The token has expired."""

    code = "token_expired"


class Claims(Struct, frozen=True, kw_only=True):
    """The claims that Nova reads; others are the host app's own affair."""

    sub: NameOrNone = ""
    """The user; empty or absent for a stranger."""
    exp: Seconds | None = None
    nbf: Seconds | None = None
    iat: Seconds | None = None
    jti: Name | None = None
    aud: str | list[str] | None = None
    iss: str | None = None
    device: Name | None = None
    channel: Channel | None = None
    """The channel that a subscription token opens; a user token has none."""
    info: msgspec.Raw = msgspec.Raw(b"")
    """JSON shown with the subscriber in presence, from a subscription token."""


class Token(Struct, frozen=True):
    """A verified token."""

    claims: Claims
    id: str
    """The `jti`, or the SHA-256 of the signed part. (Not of the whole token: the signature's
    text can be varied without making it invalid, and a revoked token would rise again.)"""


class Check(Struct, frozen=True):
    """One line of `nova token check`."""

    name: str
    passed: bool | None
    """None: it could not be checked."""
    detail: str


class _Header(Struct, frozen=True):
    alg: Annotated[str, Meta(max_length=32)]
    kid: Annotated[str, Meta(max_length=256)] | None = None
    crit: msgspec.Raw = msgspec.Raw(b"")


class Tokens:
    """Verifies tokens against a shared secret (HS256), public keys, or both."""

    def __init__(
        self,
        *,
        clock: Clock,
        secret: str = "",
        keys: KeySource | None = None,
        audience: str = "",
        issuer: str = "",
        leeway_s: float = 5.0,
        max_lifetime_s: float = 0.0,
        needs_expiry: bool = True,
        needs_subject: bool = True,
    ) -> None:
        """Empty `audience` and `issuer` accept any; `max_lifetime_s` 0 bounds nothing.

        Raises ValueError for a secret that is a public key: everyone could sign with it.
        """
        self._clock = clock
        self._secret = _shared(secret) if secret else None
        self._keys = keys
        self._audience, self._issuer = audience, issuer
        self._leeway_s, self._max_lifetime_s = leeway_s, max_lifetime_s
        self._needs_expiry, self._needs_subject = needs_expiry, needs_subject

    async def user(self, token: str) -> Token:
        """Verify a user token."""
        verified = await self._verified(token)
        if verified.claims.channel is not None:
            raise TokenInvalid(
                "channel", "This token opens one channel; a user token has no `channel`."
            )
        return verified

    async def subscription(self, token: str) -> Token:
        """Verify a token that lets its user subscribe to the channel it names."""
        verified = await self._verified(token)
        if verified.claims.channel is None:
            raise TokenInvalid("channel", "A subscription token needs the claim `channel`.")
        return verified

    async def any(self, token: str) -> Token:
        """Verify a token of either kind."""
        return await self._verified(token)

    @property
    def named(self) -> dict[str, str]:
        """The `aud` and `iss` that this Nova asks for, for tokens it signs itself."""
        wanted = {"aud": self._audience, "iss": self._issuer}
        return {claim: value for claim, value in wanted.items() if value}

    async def explain(self, token: str) -> list[Check]:
        """Check everything that can be checked, and say how each check went."""
        try:
            header = _header(token)
        except TokenInvalid as wrong:
            return [Check(wrong.claim, passed=False, detail=wrong.detail)]
        checks = [Check("shape", passed=True, detail=f"three parts, {len(token)} characters")]
        try:
            keys = await self._candidates(header)
            checks.append(Check("alg", passed=True, detail=header.alg))
            await self._verify(token, header, keys)
        except Refused as wrong:
            failed = wrong.claim if isinstance(wrong, TokenInvalid) else wrong.code
            checks.append(Check(failed, passed=False, detail=wrong.detail))
        else:
            checks.append(Check("signature", passed=True, detail="made with the configured key"))
        try:
            claims = _claims(token)
        except TokenInvalid as wrong:
            return [*checks, Check(wrong.claim, passed=False, detail=wrong.detail)]
        wrongs = {wrong.claim: wrong.detail for wrong in self._wrongs(claims)}
        for name in ("sub", "exp", "nbf", "iat", "aud", "iss"):
            shown = _shown(name, getattr(claims, name))
            checks.append(Check(name, name not in wrongs, wrongs.get(name, shown)))
        if claims.channel is not None:
            detail = f"subscribes to {claims.channel!r}; as a user token it is refused"
            checks.append(Check("channel", passed=True, detail=detail))
        return checks

    async def _verified(self, token: str) -> Token:
        header = _header(token)
        await self._verify(token, header, await self._candidates(header))
        claims = _claims(token)
        for wrong in self._wrongs(claims):
            raise wrong
        signed = token.rpartition(".")[0]
        return Token(claims, claims.jti or sha256(signed.encode()).hexdigest())

    async def _verify(
        self, token: str, header: _Header, keys: Sequence[OctKey | PublicKey]
    ) -> None:
        """Raise TokenInvalid unless one of the keys signed the token, or a newer one did."""
        if _signed(token, header.alg, keys):
            return
        if header.alg in _PUBLIC and self._keys is not None:  # a `kid` may have got a new key
            newer = await self._keys.find(header.alg, header.kid, newer=True)
            if _signed(token, header.alg, newer):
                return
        raise TokenInvalid(
            "signature",
            f"The {header.alg} signature does not fit; sign with the key that Nova is given.",
        )

    async def _candidates(self, header: _Header) -> Sequence[OctKey | PublicKey]:
        """Return keys for the header's algorithm: a secret never meets a public key's."""
        if header.crit:
            raise TokenInvalid("crit", "The header's `crit` asks for extensions Nova lacks.")
        if header.alg == "HS256" and self._secret is not None:
            return (self._secret,)
        if header.alg in _PUBLIC and self._keys is not None:
            keys = await self._keys.find(header.alg, header.kid)
            if not keys:
                raise TokenInvalid(
                    "kid",
                    f"No public key for {header.alg} and `kid` {header.kid!r} is known; "
                    "publish it in the JWKS before signing with it.",
                )
            return keys
        accepted = [
            *(["HS256"] if self._secret is not None else []),
            *(_PUBLIC if self._keys is not None else []),
        ]
        raise TokenInvalid(
            "alg",
            f"`alg` is {header.alg!r}, but this Nova accepts {', '.join(accepted) or 'nothing'}; "
            "set tokens.secret or tokens.jwks_url, or sign otherwise.",
        )

    def _wrongs(self, claims: Claims) -> Iterator[TokenInvalid]:
        if self._needs_subject and not claims.sub:
            yield TokenInvalid("sub", "The token names nobody; add `sub`, the user's id.")
        yield from self._untimely(claims, self._clock.now().timestamp())
        if self._audience and self._audience not in _several(claims.aud):
            yield TokenInvalid("aud", f"`aud` must be or contain {self._audience!r}.")
        if self._issuer and claims.iss != self._issuer:
            yield TokenInvalid("iss", f"`iss` must be {self._issuer!r}.")

    def _untimely(self, claims: Claims, now: float) -> Iterator[TokenInvalid]:
        leeway = self._leeway_s
        if claims.exp is None:
            if self._needs_expiry:
                yield TokenInvalid("exp", "The token has no `exp`; add it, in seconds since 1970.")
        elif claims.exp + leeway <= now:
            yield TokenExpired(
                "exp", f"The token expired {now - claims.exp:.0f} s ago (`exp`); sign a new one."
            )
        elif self._max_lifetime_s and claims.exp > now + self._max_lifetime_s + leeway:
            yield TokenInvalid(
                "exp", f"`exp` may be at most {self._max_lifetime_s:g} s ahead; sign it shorter."
            )
        for name, value in (("nbf", claims.nbf), ("iat", claims.iat)):
            if value is not None and value > now + leeway:
                yield TokenInvalid(
                    name,
                    f"`{name}` is {value - now:.0f} s in the future; "
                    "compare the clocks of the signer and of Nova.",
                )


def mint(
    secret: str, sub: str, *, lifetime_s: float = 3600, at: float | None = None, **claims: Any
) -> str:
    """Sign an HS256 token for a user (by either id); further claims as given.

    `iat` has a fraction, so that a token signed right after all of a user's tokens were
    revoked is told from those before.
    """
    now = time() if at is None else at
    payload = {"sub": sub, "iat": round(now, 3), "exp": int(now + lifetime_s), **claims}
    given = {name: value for name, value in payload.items() if value is not None}
    header = {"alg": "HS256", "typ": "JWT"}
    return jws.serialize_compact(header, msgspec.json.encode(given), _shared(secret), ["HS256"])


def _shared(secret: str) -> OctKey:
    if "-----BEGIN" in secret:
        raise ValueError("tokens.secret is a PEM key; public keys belong behind tokens.jwks_url")
    raw = secret.encode()
    return OctKey(raw, raw)


def _header(token: str) -> _Header:
    if len(token) > MOST_CHARACTERS:
        raise TokenInvalid("shape", f"The token is longer than {MOST_CHARACTERS} characters.")
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii() or not all(parts):
        raise TokenInvalid(
            "shape",
            "A user token is three base64url parts with dots between: header.claims.signature; a "
            "server key begins with nova_sk_.",
        )
    return _decoded(parts[0], _HEADERS, "header")


def _claims(token: str) -> Claims:
    return _decoded(token.split(".")[1], _CLAIMS, "claims")


_HEADERS = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(Claims)
_ALGORITHMS = {each: jws.JWSRegistry.algorithms[each] for each in ("HS256", *_PUBLIC)}

S = TypeVar("S")


def _decoded(part: str, decoder: msgspec.json.Decoder[S], what: str) -> S:
    try:
        return decoder.decode(_bytes(part))
    except msgspec.ValidationError as wrong:
        detail, _, path = choices(decoder.type).named(wrong).partition(" - at `$.")
        name = path.rstrip("`") or what
        if "missing required field" in detail:
            name = detail.split("`")[-2]
        raise TokenInvalid(name, f"`{name}` of the token: {detail}.") from wrong
    except (ValueError, RecursionError) as wrong:
        raise TokenInvalid(
            what, f"The token's {what} is not base64url of a JSON object."
        ) from wrong


def _bytes(part: str) -> bytes:
    return b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)


def _signed(token: str, name: str, keys: Sequence[OctKey | PublicKey]) -> bool:
    """Return whether one of the keys made the token's signature."""
    signed, _, signature = token.rpartition(".")
    try:
        made = _bytes(signature)
    except ValueError:
        return False
    return any(_verifies(_ALGORITHMS[name], signed.encode(), made, key) for key in keys)


def _verifies(algorithm: Any, signed: bytes, signature: bytes, key: OctKey | PublicKey) -> bool:
    try:
        algorithm.check_key(key)
        return bool(algorithm.verify(signed, signature, key))
    except (JoseError, ValueError):
        return False


def _several(audience: str | Sequence[str] | None) -> Sequence[str]:
    return [audience] if isinstance(audience, str) else audience or []


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "absent"
    if name == "sub" and not value:
        return "absent: a stranger, on sockets only"
    if name in {"exp", "nbf", "iat"} and value < datetime.max.replace(tzinfo=UTC).timestamp():
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    return str(value)
