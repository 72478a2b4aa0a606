"""Where people can be reached: living devices and mailboxes, and how they come to die."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database, Tx
from nova.features.accounts import push_addresses, store_devices
from nova.features.accounts.events import DeviceDied
from nova.features.accounts.models import Death, Device, NewDevice
from nova.kernel.errors import NotFound
from nova.kernel.ids import new_id
from nova.kernel.recent import Changes, Recent, hear
from nova.wire.addresses import Guard

SIGNAL = "devices"


class NoSuchDevice(NotFound):
    """There is no such device."""

    code = "no_such_device"


class _Seen(Struct, frozen=True):
    mark: int
    reachable: bool


class Devices:
    """Registers, refreshes, forgets and buries; remembers who can be reached at all.

    `forget_user` is to be called with the signal `devices`.
    """

    def __init__(
        self, db: Database, *, guard: Guard | None = None, remembered: int = 200_000
    ) -> None:
        """`guard` says which addresses of push services may be called."""
        self._db = db
        self._guard = guard or Guard()
        self._seen: Recent[UUID, _Seen] = Recent(remembered)
        self._changes: Changes[UUID] = Changes(remembered)

    def forget_user(self, payload: str | None) -> None:
        """Look at a user anew; None means that some signals may have been missed."""
        hear(self._changes, payload)

    def changed(self, tx: Tx, user: UUID) -> None:
        """Have every process look at a user anew; this one without waiting to be told."""
        tx.signal(SIGNAL, str(user))
        tx.after_commit(lambda: self.forget_user(str(user)))

    async def of(self, user: UUID) -> list[Device]:
        return await store_devices.of(self._db, user)

    async def register(self, user: UUID, new: NewDevice) -> Device | None:
        """Register a device; a token that another user had moves here. None: no such user."""
        checked = push_addresses.device(new, self._guard)
        async with self._db.transaction() as tx:
            loser = await store_devices.owner(tx, checked)
            device = await store_devices.register(tx, new_id(), user, checked)
            if device is not None:
                for each in {user, loser or user}:
                    self.changed(tx, each)
        return device

    async def refresh(self, user: UUID, device: UUID, new: NewDevice) -> Device:
        """Give a device its new token; it keeps its id. Raises NoSuchDevice."""
        checked = push_addresses.device(new, self._guard)
        async with self._db.transaction() as tx:
            loser = await store_devices.displace(tx, device, checked)
            refreshed = await store_devices.refresh(tx, user, device, checked)
            if refreshed is None:
                raise NoSuchDevice
            for each in {user, loser or user}:
                self.changed(tx, each)
        return refreshed

    async def forget(self, user: UUID, device: UUID) -> None:
        async with self._db.transaction() as tx:
            if not await store_devices.forget(tx, user, device):
                raise NoSuchDevice
            self.changed(tx, user)

    async def reachable(self, users: Sequence[UUID]) -> set[UUID]:
        """Return those who have a living device or mailbox; almost always from memory."""
        found, missing = set(), []
        for user in users:
            seen = self._seen.get(user)
            if seen is None or self._changes.since(seen.mark, user):
                missing.append(user)
            elif seen.reachable:
                found.add(user)
        if missing:
            mark = self._changes.mark()
            there = await store_devices.reachable(self._db, missing)
            for user in missing:
                self._seen.put(user, _Seen(mark, user in there))
            found |= there
        return found

    async def reach(self, users: Sequence[UUID]) -> Mapping[UUID, list[store_devices.Reach]]:
        """Return every living device and mailbox of these users."""
        return await store_devices.reach(self._db, users)

    async def bury(self, tx: Tx, deaths: Sequence[Death]) -> int:
        """Mark addresses as dead, but those registered since; return how many died."""
        dead = await store_devices.bury(tx, deaths)
        for death in dead:
            self.changed(tx, death.user)
            await tx.emit(DeviceDied(user=death.user, device=death.device, reason=death.reason))
        return len(dead)
