"""The types that are known right now: registered ones over built-in ones, cached."""

from collections.abc import Mapping

import msgspec

from nova.backbone.database import Database
from nova.features.notifications import store_types
from nova.features.notifications.catalogue import (
    Kind,
    Ready,
    UnknownType,
    built_in,
    prepare,
)
from nova.kernel.clock import Clock
from nova.kernel.errors import BadTypeName, Conflict
from nova.kernel.suggestions import did_you_mean
from nova.kernel.text import Slug
from nova.ports.database import Queries

MOST_TYPES = 1_000
SIGNAL = "types"


class TooManyTypes(Conflict):
    """A deployment may register up to 1,000 types."""

    code = "too_many_types"


def unknown(name: str, types: Mapping[str, object]) -> UnknownType:
    """Return the refusal that names the registered types and the way to add one."""
    near = did_you_mean(name, types)
    mend = f"{near} Or register it" if near else "register it"
    return UnknownType(
        f"There is no type '{name}'; {mend}: PUT /v1/notification-types/{name}",
        registered=sorted(types)[:100],
    )


class Types:
    """Which types there are. A change is known in every process as soon as it is signalled."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._built_in = {name: prepare(name, kind) for name, kind in built_in().items()}
        self._known: Mapping[str, Ready] | None = None
        self._forgotten = 0

    def forget(self, _name: str | None) -> None:
        self._known = None
        self._forgotten += 1

    def is_built_in(self, name: str) -> bool:
        return name in self._built_in

    def is_changed(self, name: str, kind: Kind) -> bool:
        """Return whether a type differs from the built-in one of its name, or has none."""
        return name not in self._built_in or self._built_in[name].kind != kind

    async def known(self, queries: Queries | None = None) -> Mapping[str, Ready]:
        """Return every type by name."""
        if self._known is not None:
            return self._known
        forgotten = self._forgotten
        rows = await (queries or self._db).fetch(store_types.ALL)
        registered = {
            row["name"]: prepare(row["name"], msgspec.json.decode(row["kind"], type=Kind))
            for row in rows
        }
        known = self._built_in | registered
        if forgotten == self._forgotten:
            self._known = known
        return known

    async def get(self, name: str) -> Ready:
        types = await self.known()
        if name not in types:
            raise unknown(name, types)
        return types[name]

    async def put(self, name: str, kind: Kind) -> Ready:
        """Register a type or replace it, a built-in one too."""
        try:
            msgspec.convert(name, Slug)
        except msgspec.ValidationError:
            raise BadTypeName from None
        ready = prepare(name, kind)
        async with self._db.transaction() as tx:
            if await tx.value(store_types.COUNT, name) >= MOST_TYPES:
                raise TooManyTypes
            await tx.run(
                store_types.PUT, name, msgspec.json.encode(kind).decode(), self._clock.now()
            )
            tx.signal(SIGNAL, name)
            tx.after_commit(lambda: self.forget(name))
        return ready

    async def delete(self, name: str) -> None:
        """Remove a registered type; a built-in one is as it was at first."""
        async with self._db.transaction() as tx:
            if not await tx.run(store_types.DELETE, name):
                raise UnknownType(f"There is no registered type '{name}'.")
            tx.signal(SIGNAL, name)
            tx.after_commit(lambda: self.forget(name))
