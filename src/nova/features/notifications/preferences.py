"""What people want to be told, and how; asked for every event, so remembered."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import UNSET

from nova.backbone.database import Database, Tx
from nova.features.notifications import store_preferences
from nova.features.notifications.catalogue import UnknownType
from nova.features.notifications.models import MOST_CHOSEN, Changes, Choices, Preferences
from nova.features.notifications.remembered import Remembered
from nova.features.notifications.rules import CHANNELS, chosen
from nova.features.notifications.types import Types, unknown
from nova.kernel.clock import Clock
from nova.kernel.errors import Invalid, NoSuchUser
from nova.kernel.suggestions import did_you_mean
from nova.ports.database import Dangling

SIGNAL = "preferences"
MOST_OBJECTS = 500


_choices = msgspec.json.Decoder(Choices)


class UnknownChannel(Invalid):
    """There is no such delivery channel."""

    code = "unknown_delivery_channel"


class TooManyChoices(Invalid):
    """A person may have preferences about up to 500 types."""

    code = "too_many_choices"
    hint = "Send null for types whose choices are no longer needed."


class UnknownPreferredType(UnknownType):
    """A choice names a type of notification that does not exist."""

    status = 422


class TooManyObjects(Invalid):
    """A person may have preferences about up to 500 objects."""

    code = "too_many_objects"
    hint = "Set an object that is no longer needed to null."


class PreferenceBook:
    """Choices of people. `defaults` says which channels are on where nobody chose; else all are."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        types: Types,
        *,
        defaults: Mapping[str, bool],
        most: int = 100_000,
    ) -> None:
        check_channels(defaults)
        self.defaults = dict(defaults)
        self._db = db
        self._clock = clock
        self._types = types
        self._remembered: Remembered[UUID, Choices] = Remembered(self._load, most=most)

    def forget(self, user: str | None) -> None:
        self._remembered.forget(None if user is None else UUID(user))

    async def of(self, users: Sequence[UUID]) -> Mapping[UUID, Choices | None]:
        """Return what each chose, or None; at most as old as the signal takes to come."""
        return await self._remembered.of(users)

    async def _load(self, users: Sequence[UUID]) -> Mapping[UUID, Choices]:
        rows = await self._db.fetch(store_preferences.MANY, users)
        return {row["user_id"]: _choices.decode(row["choices"]) for row in rows}

    async def get(self, user: UUID) -> Preferences:
        stored = await self._db.value(store_preferences.ONE, user)
        return await self._whole(_choices.decode(stored) if stored else Choices())

    async def put(self, user: UUID, choices: Choices) -> Preferences:
        """Replace all choices."""
        await self._check(choices.channels, choices.types)
        for by_channel in choices.objects.values():
            check_channels(by_channel)
        try:
            async with self._db.transaction() as tx:
                await self._save(tx, user, choices)
        except Dangling:
            raise NoSuchUser from None
        return await self._whole(choices)

    async def patch(self, user: UUID, changes: Changes) -> Preferences:
        """Change some choices; null takes one back."""
        channels = {} if changes.channels is UNSET else changes.channels
        types = {} if changes.types is UNSET else changes.types
        objects = {} if changes.objects is UNSET else changes.objects
        await self._check(channels, {name: by or {} for name, by in types.items()})
        for by_channel in objects.values():
            check_channels(by_channel or {})
        try:
            async with self._db.transaction() as tx:
                await tx.run(store_preferences.ENSURE, user, self._clock.now())
                old = _choices.decode(await tx.value(store_preferences.LOCK, user))
                choices = merged(old, channels, types, objects)
                if len(choices.types) > MOST_CHOSEN:
                    raise TooManyChoices
                if len(choices.objects) > MOST_OBJECTS:
                    raise TooManyObjects
                await self._save(tx, user, choices)
        except Dangling:
            raise NoSuchUser from None
        return await self._whole(choices)

    async def wanted(
        self, asks: Sequence[tuple[UUID, str, str | None]]
    ) -> list[Mapping[str, tuple[bool, str]]]:
        """Return, for each (user, type, what it is about), whether each channel is on, and why."""
        known = await self._types.known()
        choices = await self.of(list({user for user, _, _ in asks}))
        return [
            {
                each: chosen(each, known[kind], choices[user], self.defaults, about)
                for each in CHANNELS
            }
            if kind in known
            else {}
            for user, kind, about in asks
        ]

    async def turn_off(self, user: UUID, kind: str | None, channel: str) -> None:
        """Turn a channel off for a type; for all types when that is None or not known."""
        if kind is not None and kind not in await self._types.known():
            kind = None
        chosen = (await self._load([user])).get(user) or Choices()
        now = chosen.channels if kind is None else chosen.types.get(kind, {})
        if not now.get(channel, True):
            return  # nothing is written, however often the link is opened
        off: dict[str, bool | None] = {channel: False}
        await self.patch(
            user, Changes(channels=off) if kind is None else Changes(types={kind: off})
        )

    async def erase(self, tx: Tx, user: UUID) -> None:
        await tx.run(store_preferences.REMOVE, user)
        self._changed(tx, user)

    async def _save(self, tx: Tx, user: UUID, choices: Choices) -> None:
        await tx.run(
            store_preferences.SAVE, user, msgspec.json.encode(choices).decode(), self._clock.now()
        )
        self._changed(tx, user)

    def _changed(self, tx: Tx, user: UUID) -> None:
        tx.signal(SIGNAL, str(user))
        tx.after_commit(lambda: self.forget(str(user)))

    async def _check(
        self, channels: Iterable[str], types: Mapping[str, Mapping[str, bool | None]]
    ) -> None:
        check_channels(channels)
        known = await self._types.known()
        for name, by_channel in types.items():
            if name not in known:
                said = unknown(name, known)
                raise UnknownPreferredType(said.detail, registered=said.extra.get("registered"))
            check_channels(by_channel)

    async def _whole(self, choices: Choices) -> Preferences:
        known = await self._types.known()
        return Preferences(
            channels=choices.channels,
            types=choices.types,
            objects=choices.objects,
            effective={
                name: {each: chosen(each, kind, choices, self.defaults)[0] for each in CHANNELS}
                for name, kind in known.items()
            },
        )


def check_channels(names: Iterable[str]) -> None:
    for name in names:
        if name not in CHANNELS:
            near = did_you_mean(name, CHANNELS)
            mend = f"{near} " if near else ""
            raise UnknownChannel(
                f"There is no channel '{name}'; {mend}There are {', '.join(CHANNELS)}."
            )


def merged(
    choices: Choices,
    channels: Mapping[str, bool | None],
    types: Mapping[str, Mapping[str, bool | None] | None],
    objects: Mapping[str, Mapping[str, bool | None] | None] | None = None,
) -> Choices:
    """Return the choices with changes made; None takes a choice, or all of a type, back."""
    return Choices(
        _merged(choices.channels, channels),
        _each(choices.types, types),
        _each(choices.objects, objects or {}),
    )


def _each(
    old: Mapping[str, dict[str, bool]], changes: Mapping[str, Mapping[str, bool | None] | None]
) -> dict[str, dict[str, bool]]:
    new = dict(old)
    for name, change in changes.items():
        left = {} if change is None else _merged(new.get(name, {}), change)
        new.pop(name, None)
        if left:
            new[name] = left
    return new


def _merged(old: Mapping[str, bool], changes: Mapping[str, bool | None]) -> dict[str, bool]:
    both = {**old, **changes}
    return {name: value for name, value in both.items() if value is not None}
