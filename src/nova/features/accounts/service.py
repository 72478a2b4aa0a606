"""Users and their devices: from creation to the last trace."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec import UnsetType
from msgspec.structs import replace

from nova.backbone.database import Database, Tx
from nova.feature import Feature
from nova.features.accounts import erasure_store, rules, store, store_keys
from nova.features.accounts.devices import Devices
from nova.features.accounts.events import UserChanged, UserCreated, UserDeleted, UserSuspended
from nova.features.accounts.models import (
    Change,
    Device,
    Export,
    NewDevice,
    NewUser,
    Upsert,
    Upserted,
    User,
    Written,
)
from nova.features.accounts.people import People
from nova.kernel.clock import Clock
from nova.kernel.errors import Invalid, NoSuchUser, Refused, ServerKeyNeeded, problem_of
from nova.kernel.ids import new_id
from nova.web.auth import erased
from nova.web.intake import BadItem

TOKENS_END = timedelta(days=30)
"""For how long a token of an erased user does not create it anew."""

ERASED = "erased"
"""The signal that somebody was erased; its payload is a digest of an id of theirs."""

SERVER_FIELDS = "Only the host app's backend changes `external_id`, `email` and `suspended`."

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


class Twice(Invalid):
    """An earlier item of this request has the same external_id."""

    code = "given_twice"


class Accounts:
    """The users of a deployment."""

    def __init__(
        self,
        db: Database,
        people: People,
        *,
        clock: Clock,
        zones: Collection[str],
        features: Callable[[], Sequence[Feature]],
        devices: Devices | None = None,
    ) -> None:
        """`features` returns all of them, for export and erasure; `zones` are IANA's names."""
        self._db = db
        self.people = people
        self._clock = clock
        self._zones = zones
        self._features = features
        self.devices = devices or Devices(db)

    async def create(self, new: NewUser) -> User:
        fields = rules.written(new, new.external_id, self._zones)
        async with self._db.transaction() as tx:
            user = await store.create(tx, new_id(), fields)
            await tx.emit(UserCreated(user=user.id, external_id=user.external_id))
        return user

    async def upsert(self, users: Sequence[Upsert | BadItem]) -> list[Upserted]:
        """Create or update many by external_id; a bad one does not keep the others out."""
        good: dict[str, Written] = {}
        results: list[Upserted | str] = []
        for index, each in enumerate(users):
            try:
                if isinstance(each, BadItem):
                    raise each.refused
                if each.external_id in good:
                    raise Twice
                good[each.external_id] = rules.written(each, each.external_id, self._zones)
                results.append(each.external_id)
            except Refused as wrong:
                results.append(_refused(index, each, wrong))
        done = await self._write(good) if good else {}
        return [
            replace(done[each], index=index) if isinstance(each, str) else each
            for index, each in enumerate(results)
        ]

    async def get(self, user: UUID) -> User:
        found = await store.get(self._db, user)
        if found is None:
            raise NoSuchUser
        return found

    async def page(self, place: UUID | None, limit: int, *, newest: bool = False) -> list[User]:
        """Return users in the order of their creation, or the newest first."""
        if newest:
            return await store.before(self._db, place or _LAST, limit)
        return await store.after(self._db, place or _FIRST, limit)

    async def search(self, text: str, limit: int) -> list[User]:
        """Return users whose name, last name, mail address or id begins with a text."""
        return await store.search(self._db, text, limit)

    async def change(self, user: UUID, change: Change, *, by_server: bool) -> User:
        renames = not isinstance(change.external_id, UnsetType)
        suspended = None if isinstance(change.suspended, UnsetType) else change.suspended
        mails = not isinstance(change.email, UnsetType)
        if not by_server and (renames or mails or suspended is not None):
            raise ServerKeyNeeded(SERVER_FIELDS)
        name = None if isinstance(change.external_id, UnsetType) else change.external_id
        fields = rules.written(change, name, self._zones)
        async with self._db.transaction() as tx:
            changed = await store.change(tx, user, fields, renames=renames, suspended=suspended)
            if changed is None:
                raise NoSuchUser
            await tx.emit(UserChanged(user=user))
            self._tell(tx, user)
            self.devices.changed(tx, user)
            if suspended:
                await tx.emit(UserSuspended(user=user))
                self._close_sockets(tx, user)
        return changed

    async def delete(self, user: UUID) -> None:
        """Erase a user; on return they are gone, and Erasures removes what others' data hold."""
        found = await self.get(user)
        digests = (erased(str(user)), found.external_id and erased(found.external_id))
        await erasure_store.begin(self._db, new_id(), user, digests, self._clock.now())
        if not await self.erase(user):
            raise NoSuchUser

    async def erase(self, user: UUID) -> bool:
        """Erase a user from every feature in one transaction, once what is much is gone.

        False: somebody else has done so.
        """
        for feature in self._features():
            if feature.lighten is not None:
                await feature.lighten(user)
        async with self._db.transaction() as tx:
            row = await store.lock(tx, user)
            if row is None:
                return False
            name = row["external_id"]
            await erasure_store.erased(tx, user, self._clock.now(), name and erased(name))
            for feature in self._features():
                if feature.erase is not None:
                    await feature.erase(tx, user)
            await store.delete(tx, user)
            until = self._clock.now() + TOKENS_END
            for reference in filter(None, (str(user), name)):
                await store_keys.revoke(tx, erased(reference), until)
                tx.signal(ERASED, erased(reference))
            await tx.emit(UserDeleted(user=user))
            self._tell(tx, user)
            self.devices.changed(tx, user)
            self._close_sockets(tx, user)
        return True

    async def export(self, user: UUID) -> Export:
        """Return everything that any feature holds about a user."""
        await self.get(user)
        data = {
            feature.name: await feature.export(user)
            for feature in self._features()
            if feature.export is not None
        }
        return Export(user=user, exported_at=self._clock.now(), data=data)

    async def own_export(self, user: UUID) -> dict[str, object]:
        return {
            "user": await store.get(self._db, user),
            "devices": await self.devices.of(user),
        }

    async def register(self, user: UUID, new: NewDevice) -> Device:
        """Register a device; a token that another user had moves here."""
        device = await self.devices.register(user, new)
        if device is None:
            raise NoSuchUser
        return device

    async def _write(self, good: dict[str, Written]) -> dict[str, Upserted]:
        async with self._db.transaction() as tx:
            written = await store.upsert(tx, [new_id() for _ in good], list(good.values()))
            for name, (user, created) in written.items():
                if created:
                    await tx.emit(UserCreated(user=user, external_id=name))
                else:
                    await tx.emit(UserChanged(user=user))
                    self._tell(tx, user)
                    if good[name].email is not None:
                        self.devices.changed(tx, user)
            same = await store.named(tx, [name for name in good if name not in written])
        done = {
            name: Upserted(
                index=0, external_id=name, status="created" if created else "updated", id=user
            )
            for name, (user, created) in written.items()
        }
        for name, user in same.items():
            done[name] = Upserted(index=0, external_id=name, status="unchanged", id=user)
        return done

    def _tell(self, tx: Tx, user: UUID) -> None:
        """Have every process look at the user anew; this one without waiting to be told."""
        tx.signal("user", str(user))
        tx.after_commit(lambda: self.people.forget(str(user)))

    def _close_sockets(self, tx: Tx, user: UUID) -> None:
        tx.signal("revoked", f"user:{user}:{self._clock.now().timestamp():.6f}")


def _refused(index: int, item: Upsert | BadItem, wrong: Refused) -> Upserted:
    name = item.text("external_id") if isinstance(item, BadItem) else item.external_id
    return Upserted(
        index=index,
        external_id=name,
        status="refused",
        problem=problem_of(wrong),
    )
