"""Credentials become actors: server keys and user tokens, remembered and forgotten in time."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from nova.kernel.clock import Clock
from nova.kernel.errors import Unauthenticated, Unavailable
from nova.kernel.recent import Changes, Recent, hear
from nova.web import access
from nova.web.actors import NOBODY, Actor, Meeting, ServerKey, User
from nova.web.tokens import Check, Claims, Token, TokenInvalid, Tokens

KEY_PREFIX = "nova_sk_"
_LONGEST_KEY = 128
_ALL_OF = "user:"
_LOADS_APART_S = 0.05
MOST_WAITING = 100
"""Calls with an unknown server key that wait for the keys to be loaded anew."""
_REFUSED_FOR_S = 1.0
"""For how long a token that is signed rightly and counts no longer is not looked up again."""

NOTED_EVERY_S = 60.0
"""How exactly it is known when a server key was used last."""


class KeyUnknown(Unauthenticated):
    """This server key is unknown or was revoked."""

    code = "key_unknown"
    hint = (
        "Check that it is whole and of this deployment: the first key is in server.key in the data "
        "folder, `nova key list` shows which count, `nova key create` makes another."
    )


class KeysBusy(Unavailable):
    """Too many unknown server keys are being looked up at the moment."""

    code = "keys_busy"
    hint = "Keys that were used before still work at once; try this one again."


class Suspended(TokenInvalid):
    """The user is suspended."""

    code = "user_suspended"


class TokenRevoked(TokenInvalid):
    """The token was revoked."""

    code = "token_revoked"


def erased(reference: str) -> str:
    """Return the name under which Revocations keeps that a user was erased, not saying who."""
    return "erased:" + sha256(reference.encode()).hexdigest()


class Standing(Protocol):
    """What decides whether a user's token counts."""

    @property
    def id(self) -> UUID: ...
    @property
    def suspended(self) -> bool: ...
    @property
    def tokens_after(self) -> float:
        """Tokens issued before this time (seconds since 1970) are revoked."""


class People(access.People, Protocol):
    """Who a token's `sub` is."""

    async def find(self, reference: str) -> Standing | None:
        """Return the user that a Nova id or the host app's own id names."""

    async def create(self, external_id: str) -> Standing:
        """Return the user of the host app's id, made if need be."""


class Keys(Protocol):
    """The server keys that count."""

    async def active(self) -> Mapping[bytes, ServerKey]:
        """Return all of them, by the SHA-256 of the key."""

    async def used(self, uses: Mapping[UUID, datetime]) -> None:
        """Hear which keys were used, and when."""


class Revocations(Protocol):
    """Tokens that count no longer."""

    async def revoked(self, token: str) -> bool:
        """Whether this `jti` or digest was revoked."""


class Subscription(Struct, frozen=True):
    """A verified subscription token."""

    user: UUID
    channel: str
    token: str
    expires: float | None
    info: bytes
    """JSON shown with the subscriber in presence; empty for none."""


class _Seen(Struct, frozen=True):
    user: User
    until: float
    mark: int


class Auth:
    """The Authenticator of a deployment.

    `forget_users`, `forget_keys` and `forget_tokens` are to be called with the signals
    "user", "key" and "revoked"; None means that some may have been missed.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        keys: Keys,
        people: People,
        revocations: Revocations,
        sights: access.Sights,
        clock: Clock,
        token_creates_users: bool = False,
        remembered: int = 20_000,
        recheck_s: float = 300.0,
    ) -> None:
        """Up to `remembered` tokens are kept, each until it expires and at most `recheck_s`.

        (So a public key that was withdrawn stops counting, too.)
        """
        self._tokens = tokens
        self._keys = keys
        self._people = people
        self._revocations = revocations
        self._sights = sights
        self._clock = clock
        self._creates = token_creates_users
        self._recheck_s = recheck_s
        self._seen: Recent[str, _Seen] = Recent(remembered)  # full: the least used are dropped
        self._changes: Changes[UUID | str] = Changes(remembered)
        self._refused: Recent[str, tuple[TokenInvalid, float]] = Recent(remembered)
        self._servers: Mapping[bytes, ServerKey] = {}
        self._servers_seen: dict[str, ServerKey] = {}  # one header per active key
        self._uses: dict[UUID, datetime] = {}  # one of each active key
        # Loads of the keys are numbered; only one begun after the last change is good.
        self._begun = self._done = self._stale = 0
        self._loaded = -_LOADS_APART_S
        self._loading = asyncio.Lock()
        self._waiting = 0

    def known(self, authorization: str) -> Actor | None:
        """Return the actor of a header verified before, if nothing spoke against it since."""
        server = self._servers_seen.get(authorization)
        if server is not None or not authorization.startswith("Bearer "):
            return server
        return self._remembered(authorization[7:])

    async def bearer(self, authorization: str) -> Actor:
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        scheme = scheme.lower()
        if scheme not in {"bearer", "apikey"} or not credential:
            raise Unauthenticated("The Authorization header must be 'Bearer <key or token>'.")
        if credential.startswith(KEY_PREFIX):
            return await self._server(credential)
        if scheme == "apikey":
            raise KeyUnknown
        user = await self.user(credential)
        if user.is_stranger:
            raise TokenInvalid("sub", "The token names nobody, which only sockets may accept.")
        return user

    def counted(self, authorization: str) -> bool:
        """Return whether this was a server key when the keys were last read; asks nobody."""
        scheme, _, key = authorization.partition(" ")
        digest = sha256(key.strip().encode()).digest()
        return scheme.lower() == "bearer" and digest in self._servers

    async def user(self, token: str) -> User:
        remembered = self._remembered(token)
        if remembered is not None:
            return remembered
        mark = self._changes.mark()
        verified = await self._tokens.user(token)
        claims = verified.claims
        user = User(
            await self._admitted_once(verified),
            verified.id,
            claims.exp,
            claims.device,
            claims.sub or "",
        )
        if not user.is_stranger:  # what is remembered also counts over HTTP
            self._seen.put(token, _Seen(user, self._until(claims), mark))
        return user

    async def subscription(self, token: str) -> Subscription:
        """Verify a token that lets its user subscribe to one channel."""
        verified = await self._tokens.subscription(token)
        user = await self._admitted(verified)
        claims = verified.claims
        return Subscription(user, claims.channel or "", verified.id, claims.exp, bytes(claims.info))

    async def explain(self, token: str) -> Check:
        """Check what only the database knows of a token that is right by itself.

        Nobody is created, also where tokens create their users.
        """
        verified = await self._tokens.any(token)
        sub = verified.claims.sub
        try:
            known = not sub or await self._people.find(sub) is not None
            if known or not self._creates or await self._revocations.revoked(erased(sub)):
                user = await self._admitted(verified)
            else:
                return Check("user", passed=True, detail=f"the first call creates {sub!r}")
        except TokenInvalid as wrong:
            return Check("user", passed=False, detail=wrong.detail)
        return Check("user", passed=True, detail="nobody" if user == NOBODY else str(user))

    async def resolve(self, reference: str) -> UUID | None:
        found = await self._people.find(reference)
        return found.id if found else None

    async def find_for(self, viewer: UUID, reference: str, meeting: Meeting) -> UUID | None:
        return await access.find_for(self._people, self._sights, viewer, reference, meeting)

    def forget_users(self, payload: str | None) -> None:
        """Look at a user (by id) anew."""
        self._refused.clear()
        hear(self._changes, payload)

    def forget_tokens(self, payload: str | None) -> None:
        """Look at a token (by `jti` or digest) anew, or at all of a user (`user:<id>:<epoch>`)."""
        if payload is None:
            self._changes.everything()
            return
        self._refused.clear()
        self._changes.add(payload)
        if payload.startswith(_ALL_OF):
            self.forget_users(payload.removeprefix(_ALL_OF).partition(":")[0])

    def forget_keys(self, payload: str | None) -> None:  # noqa: ARG002  # keys are few: all anew
        self._stale = self._begun
        self._servers_seen.clear()

    async def turn(self) -> None:
        """Tell now and then which keys were used; to be repeated for ever."""
        await asyncio.sleep(NOTED_EVERY_S)
        await self.note()

    async def note(self) -> None:
        """Tell which keys were used.

        Requests whose header is remembered are not counted, which costs them nothing: all headers
        are forgotten here, so that the next request with each is noted again.
        """
        uses, self._uses = self._uses, {}
        self._servers_seen.clear()
        if uses:
            await self._keys.used(uses)

    def _remembered(self, token: str) -> User | None:
        seen = self._seen.get(token)
        if seen is None or seen.until <= self._clock.monotonic():
            return None
        changed = self._changes.since
        if changed(seen.mark, seen.user.id) or changed(seen.mark, seen.user.token):
            return None
        return seen.user

    def _until(self, claims: Claims) -> float:
        left = self._recheck_s
        if claims.exp is not None:
            left = min(left, claims.exp - self._clock.now().timestamp())
        return self._clock.monotonic() + left

    async def _admitted_once(self, token: Token) -> UUID:
        """Do as `_admitted`, but ask the database once a second for a token that it refuses.

        Its owner may go on sending it, and nobody but the owner is to wait for that.
        """
        now = self._clock.monotonic()
        refused = self._refused.get(token.id)
        if refused is not None and now < refused[1]:
            raise type(refused[0])(refused[0].claim, refused[0].detail)
        mark = self._changes.mark()
        try:
            return await self._admitted(token)
        except (Suspended, TokenRevoked) as wrong:
            if mark == self._changes.mark():
                self._refused.put(token.id, (wrong, now + _REFUSED_FOR_S))
            raise

    async def _admitted(self, token: Token) -> UUID:
        """Return the token's user, unless the user or the token counts no longer.

        What changed while it was looked up is looked at once more: a revocation closes the
        sockets that there are, so one that is only about to use the token would stay open.
        """
        changed = self._changes.since
        while True:
            mark = self._changes.mark()
            user = (await self._standing(token)).id if token.claims.sub else NOBODY
            if await self._revocations.revoked(token.id):
                raise TokenRevoked("jti", "The token was revoked; sign a new one.")
            if not (changed(mark, user) or changed(mark, token.id)):
                return user

    async def _standing(self, token: Token) -> Standing:
        """Return the user whom a token names, unless the user counts no longer."""
        sub = token.claims.sub
        person = await self._people.find(sub)
        if person is None and self._creates:
            if await self._revocations.revoked(erased(sub)):
                raise TokenRevoked(
                    "sub", "The user was erased; POST /v1/users creates it anew, a token does not."
                )
            person = await self._people.create(sub)
        if person is None:
            raise TokenInvalid(
                "sub",
                f"There is no user {sub!r}; create it with POST /v1/users, "
                "or set tokens.create_users.",
            )
        if person.suspended:
            raise Suspended("sub", "The user is suspended.")
        if (token.claims.iat or 0.0) < person.tokens_after:
            raise TokenRevoked(
                "iat",
                "All earlier tokens of the user were revoked, and this one "
                + ("is earlier" if token.claims.iat else "has no `iat`")
                + "; sign a new one.",
            )
        return person

    async def _server(self, key: str) -> ServerKey:
        if len(key) > _LONGEST_KEY:
            raise KeyUnknown
        # The time of this look-up depends on the digest alone, which a caller cannot steer.
        digest = sha256(key.encode()).digest()
        asked = self._begun
        found = self._servers.get(digest) if self._done > self._stale else None
        if found is None:  # it may be newer than what was loaded
            if self._waiting >= MOST_WAITING and digest not in self._servers:
                raise KeysBusy(retry_after=1.0)
            self._waiting += 1
            try:
                await self._load(asked)
            finally:
                self._waiting -= 1
            found = self._servers.get(digest)
        if found is None:
            raise KeyUnknown
        self._uses[found.key] = self._clock.now()
        if self._done > self._stale:
            self._servers_seen[f"Bearer {key}"] = found
        return found

    async def _load(self, asked: int) -> None:
        """Load all keys, beginning after load number `asked`; whoever waits shares one load.

        Loads are spaced out, so guessing keys costs the database next to nothing.
        """
        async with self._loading:
            while self._done <= max(asked, self._stale):
                wait = self._loaded + _LOADS_APART_S - self._clock.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                self._begun += 1
                number = self._begun
                self._servers = await self._keys.active()
                self._loaded = self._clock.monotonic()
                self._done = number
