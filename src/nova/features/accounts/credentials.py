"""Server keys, tokens signed for users, and what was revoked."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from uuid import UUID

from msgspec import structs
from structlog import get_logger

from nova.backbone.database import Database, Tx
from nova.features.accounts import store_keys as store
from nova.features.accounts.models import (
    CreatedKey,
    KeyInfo,
    Minted,
    NewToken,
    Revocation,
)
from nova.features.accounts.people import People
from nova.kernel.batching import Batcher
from nova.kernel.clock import Clock
from nova.kernel.errors import Conflict, Invalid, NoSuchUser, NotFound
from nova.kernel.ids import new_id
from nova.ports.database import Locked
from nova.web.actors import ServerKey
from nova.web.auth import KEY_PREFIX
from nova.web.tokens import TokenExpired, TokenInvalid, Tokens, mint

_log = get_logger()

SHOWN, LONG = len(KEY_PREFIX) + 4, 40
"""How many characters of a key are kept, to be shown; of one that is not long, none are."""

MOST_KEYS = 1000
"""All keys are held in memory by every process."""

UNKNOWN_LIFETIME = timedelta(days=400)
"""For how long a revoked `jti` is remembered, when nothing tells the token's own end."""


class TooManyKeys(Conflict):
    """There are already as many server keys as allowed; revoke one that is no longer used."""

    code = "too_many_keys"


class NoSuchKey(NotFound):
    """There is no such server key."""

    code = "no_such_key"


class NoSharedSecret(Conflict):
    """Nova has no shared secret to sign tokens with; your own backend signs them."""

    code = "no_shared_secret"
    hint = "Set tokens.secret, or sign tokens with the key whose public half is in your JWKS."


class Credentials:
    """Makes and ends credentials. It is the Keys and the Revocations of web.auth."""

    def __init__(
        self, db: Database, people: People, *, tokens: Tokens, secret: str, clock: Clock
    ) -> None:
        """`secret` signs tokens (empty: none are signed); `tokens` verifies them."""
        self._db = db
        self._people = people
        self._tokens = tokens
        self._secret = secret
        self._clock = clock
        self._revoked: Batcher[str, bool] = Batcher(
            self._look,
            most=1000,
            queue=20_000,  # full: callers get 503 at once
            sheds=(Locked,),
        )

    async def active(self) -> Mapping[bytes, ServerKey]:
        return await store.active(self._db)

    async def revoked(self, token: str) -> bool:
        return await self._revoked(token)

    async def keys(self) -> list[KeyInfo]:
        return await store.listed(self._db)

    async def used(self, uses: Mapping[UUID, datetime]) -> None:
        """Write down when keys were used."""
        await store.used(self._db, uses)

    async def create_key(self, name: str, *, by: UUID | None = None) -> CreatedKey:
        """Create a key and return it with its secret, which is not kept.

        `by` is the key that asks for it; the log keeps who made and revoked which.
        """
        async with self._db.transaction() as tx:
            made = await self._create(tx, name, None)
            if by is not None:
                tx.after_commit(lambda: _told("server_key_created", made.id, made.name, by))
            return made

    async def is_key(self, secret: str) -> bool:
        """Return whether this is the secret of a server key."""
        return _digest(secret) in await self.active()

    async def first_key(self, name: str = "first", secret: str | None = None) -> CreatedKey | None:
        """Create a key if there is none yet, whichever process comes first."""
        async with self._db.transaction() as tx:
            await store.lock(tx)
            if await store.any_key(tx):
                return None
            return await self._create(tx, name, secret)

    async def revoke_key(self, key: UUID, *, by: UUID | None = None) -> None:
        async with self._db.transaction() as tx:
            name = await store.remove(tx, key)
            if name is None:
                raise NoSuchKey
            tx.signal("key", str(key))
            if by is not None:
                tx.after_commit(lambda: _told("server_key_revoked", key, name, by))

    async def mint(self, new: NewToken) -> Minted:
        """Sign a token for a user who exists."""
        if not self._secret:
            raise NoSharedSecret
        person = await self._people.find(new.user)
        if person is None:
            raise NoSuchUser
        at = self._clock.now()
        jti = str(new_id())
        token = mint(
            self._secret,
            str(person.id),
            lifetime_s=new.lifetime_s,
            at=at.timestamp(),
            jti=jti,
            device=new.device,
            channel=new.channel,
            **self._tokens.named,
        )
        expires = datetime.fromtimestamp(int(at.timestamp() + new.lifetime_s), UTC)
        return Minted(token=token, user=person.id, jti=jti, expires_at=expires)

    async def revoke(self, what: Revocation) -> None:
        """Make tokens count no longer, on open sockets too; revoking again does nothing."""
        if (what.jti is not None) + (what.token is not None) + (what.user is not None) != 1:
            raise Invalid("Give one of 'jti', 'token' and 'user'.")
        if what.user is not None:
            await self._revoke_all(what.user)
        elif what.jti is not None:
            await self._revoke(what.jti, self._clock.now() + UNKNOWN_LIFETIME)
        elif what.token is not None:
            await self._revoke_token(what.token)

    async def forget_expired(self) -> None:
        """Drop revocations of tokens that have expired by themselves."""
        await store.expire(self._db, self._clock.now() - timedelta(minutes=10))

    async def _create(self, tx: Tx, name: str, secret: str | None) -> CreatedKey:
        secret = secret or KEY_PREFIX + token_urlsafe(32)
        if not secret.startswith(KEY_PREFIX):
            raise Invalid(f"A server key starts with '{KEY_PREFIX}'.")
        digest = _digest(secret)
        prefix = secret[:SHOWN] if len(secret) >= LONG else None
        made = await store.add(tx, new_id(), name, digest, prefix=prefix, most=MOST_KEYS)
        if made is None:
            raise TooManyKeys
        tx.signal("key", str(made.id))
        return CreatedKey(**structs.asdict(made), secret=secret)

    async def _revoke_all(self, reference: str) -> None:
        person = await self._people.find(reference)
        async with self._db.transaction() as tx:
            at = await store.revoke_all(tx, person.id) if person else None
            if person is None or at is None:
                raise NoSuchUser
            tx.signal("user", str(person.id))
            tx.signal("revoked", f"user:{person.id}:{at:.6f}")

    async def _revoke_token(self, token: str) -> None:
        try:
            verified = await self._tokens.any(token)
        except TokenExpired:
            return
        except TokenInvalid as wrong:
            raise Invalid(f"No token of this Nova: {wrong.detail}", claim=wrong.claim) from None
        expires = self._clock.now() + UNKNOWN_LIFETIME
        if verified.claims.exp is not None and verified.claims.exp < expires.timestamp():
            expires = datetime.fromtimestamp(verified.claims.exp, UTC)
        await self._revoke(verified.id, expires)

    async def _revoke(self, token: str, expires: datetime) -> None:
        async with self._db.transaction() as tx:
            await store.revoke(tx, token, expires)
            tx.signal("revoked", token)

    async def _look(self, tokens: list[str]) -> Sequence[bool]:
        revoked = await store.revoked(self._db, tokens)
        return [token in revoked for token in tokens]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _told(what: str, key: UUID, name: str, by: UUID) -> None:
    _log.info(what, id=key, name=name, by=by)
