"""Who is who: either id of a user to the user, remembered and right within a second."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database, Tx
from nova.features.accounts import erasure_store, rules, store
from nova.features.accounts.events import UserCreated
from nova.features.accounts.models import Profile, Written
from nova.kernel.batching import Batcher
from nova.kernel.ids import new_id, parse_id
from nova.kernel.recent import Changes, Recent, hear
from nova.kernel.text import folded
from nova.ports.database import Locked
from nova.web.auth import erased

_LONGEST = 128

K = TypeVar("K", str, UUID)


class _Seen(Struct, frozen=True):
    user: UUID
    profile: Profile
    mark: int


class People:
    """Resolves references to users, in bulk.

    `forget` is to be called with the signal "user"; None means that some may have been missed.
    """

    def __init__(self, db: Database, *, remembered: int = 200_000) -> None:
        """At least half of `remembered` references, and as many profiles, are kept."""
        self._db = db
        self._seen: Recent[str, _Seen] = Recent(remembered)
        self._profiles: Recent[UUID, _Seen] = Recent(remembered)
        self._changes: Changes[UUID] = Changes(remembered)
        self._erased: set[str] | None = None
        """Digests of the ids of those who were erased lately; None: not looked up yet."""
        self._erasures = 0
        self._look: Batcher[str | UUID, Profile | None] = Batcher(
            self._find,
            most=1000,
            queue=20_000,  # full: callers get 503 at once
            sheds=(Locked,),
        )

    def forget(self, payload: str | None) -> None:
        """Look at a user (by id) anew, and keep nothing of what was known of them."""
        hear(self._changes, payload)
        user = parse_id(payload) if payload else None
        known = None if user is None else self._profiles.drop(user)
        if known is not None:
            self._seen.drop(str(known.user))
            self._seen.drop(known.profile.external_id or "")

    def hear_erased(self, digest: str | None) -> None:
        """Note that somebody was erased; None means that some may have been missed."""
        self._erasures += 1
        if digest is None:
            self._erased = None
        elif self._erased is not None:
            self._erased.add(digest)

    def unremembered(self, references: Collection[str]) -> list[str]:
        """Return those references that have to be looked up; almost always none."""
        return [each for each in references if self._remembered(each) is None]

    async def erased(self, references: Collection[str]) -> set[str]:
        """Return those that named somebody who was erased lately, and name nobody now.

        Almost always all of them are remembered as somebody, and nothing is looked up.
        """
        unknown = self.unremembered(references)
        if not unknown:
            return set()
        recent = await self._recently_erased()
        gone = [each for each in unknown if erased(str(parse_id(each) or each)) in recent]
        return set(gone) - (await self.resolve(gone)).keys() if gone else set()

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those references that name a user; a Nova id wins over an app's."""
        seen, since = self._seen.get, self._changes.since
        found: dict[str, UUID] = {}
        missing = []
        for reference in references:
            one = seen(reference)
            if one is None or since(one.mark, one.user):
                missing.append(reference)
            else:
                found[reference] = one.user
        if missing:
            profiles = await self._fetch(list(dict.fromkeys(missing)))
            found.update((reference, each.id) for reference, each in profiles.items())
        return found

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]:
        """Return the profiles of those users that exist."""
        seen, since = self._profiles.get, self._changes.since
        found: dict[UUID, Profile] = {}
        missing = []
        for user in users:
            one = seen(user)
            if one is None or since(one.mark, user):
                missing.append(user)
            else:
                found[user] = one.profile
        if missing:
            found.update(await self._fetch(list(dict.fromkeys(missing))))
        return found

    async def meant(self, mentions: Sequence[Sequence[str]]) -> list[UUID]:
        """Return who is meant by mentions, each given in its readings, the likeliest first.

        An id as it is counts before one that differs in case or width; where several differ so,
        nobody is meant.
        """
        first = {readings[0]: self._remembered(readings[0]) for readings in mentions}
        asked = {each for some in mentions if first[some[0]] is None for each in some}
        known = await store.meant(self._db, sorted(asked)) if asked else store.Meant({}, {}, {})
        found = (first[readings[0]] or _meant(readings, known) for readings in mentions)
        return [user for user in found if user is not None]

    async def hold(self, tx: Tx, users: Collection[UUID]) -> Collection[UUID]:
        """Keep users from being erased before the commit; return which of them exist.

        An erasure locks the user first and all that is the user's then: so does who asks this
        before it locks anything else, and the two never wait for each other.
        """
        return await store.hold(tx, users)

    async def find(self, reference: str) -> Profile | None:
        """Return the user that a reference names."""
        return self.remembered(reference) or await self.look(reference)

    def remembered(self, reference: str) -> Profile | None:
        """Return the user that a reference names, if that is known without asking."""
        one = self._seen.get(reference)
        if one is None or self._changes.since(one.mark, one.user):
            return None
        return one.profile

    async def look(self, reference: str) -> Profile | None:
        """Ask the database for the user that a reference names."""
        return (await self._fetch([reference])).get(reference)

    async def create(self, external_id: str) -> Profile:
        """Return the user of the app's id, made if need be; safe to call at once from anywhere."""
        nothing = Written(
            external_id=rules.external_id(external_id),
            name=None,
            avatar_url=None,
            locale=None,
            timezone=None,
            profile=None,
        )
        async with self._db.transaction() as tx:
            written = await store.upsert(tx, [new_id()], [nothing])
            for user, created in written.values():
                if created:
                    await tx.emit(UserCreated(user=user, external_id=external_id))
        profile = await self.find(external_id)
        if profile is None:  # deleted again meanwhile
            return await self.create(external_id)
        return profile

    def _remembered(self, reference: str) -> UUID | None:
        one = self._seen.get(reference)
        return None if one is None or self._changes.since(one.mark, one.user) else one.user

    async def _recently_erased(self) -> set[str]:
        while self._erased is None:
            before = self._erasures
            found = await erasure_store.recent(self._db)
            if before == self._erasures:
                self._erased = found
        return self._erased

    async def _fetch(self, keys: Sequence[K]) -> dict[K, Profile]:
        mark = self._changes.mark()
        found = {}
        for key, answer in zip(keys, await self._look.many(keys), strict=True):
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                found[key] = answer
                seen = _Seen(answer.id, answer, mark)
                self._profiles.put(answer.id, seen)
                if isinstance(key, str):
                    self._seen.put(key, seen)
        return found

    async def _find(self, keys: list[str | UUID]) -> list[Profile | None]:
        """Look up many at once, each a reference or an id."""
        texts = [key for key in keys if isinstance(key, str) and _possible(key)]
        ids = {key: key if isinstance(key, UUID) else parse_id(key) for key in keys}
        rows = await store.find(self._db, texts, [id_ for id_ in ids.values() if id_ is not None])
        by_id = {row.id: row for row in rows}
        by_name = {row.external_id: row for row in rows if row.external_id is not None}
        return [by_id.get(ids[key] or _NOBODY) or by_name.get(str(key)) for key in keys]


_NOBODY = UUID(int=0)


def _meant(readings: Sequence[str], known: store.Meant) -> UUID | None:
    for each in readings:
        exact = known.by_id.get(each) or known.by_name.get(each)
        alike = known.by_folded.get(folded(each), ())
        if exact or alike:
            return exact or (alike[0] if len(alike) == 1 else None)
    return None


def _possible(reference: str) -> bool:
    """Whether a reference could be an external_id; others never reach the database."""
    try:
        reference.encode()
    except UnicodeEncodeError:
        return False
    return len(reference) <= _LONGEST and "\0" not in reference
