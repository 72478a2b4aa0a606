"""Notifications, put together: from an accepted event to the inbox and the story of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova.backbone.database import Database, Tx
from nova.backbone.maintenance_batches import in_portions
from nova.feature import Subjects
from nova.features.notifications import boxes
from nova.features.notifications.bursts import Blocks, Bursts
from nova.features.notifications.catalogue import DAY_S
from nova.features.notifications.erasure import Erasing
from nova.features.notifications.inbox import Inbox, Removal, everything
from nova.features.notifications.ingest import Ingest
from nova.features.notifications.pipeline import People, Pipeline, Reach
from nova.features.notifications.posted import PostRings
from nova.features.notifications.preferences import PreferenceBook
from nova.features.notifications.recheck import Reviews
from nova.features.notifications.rehearsal import Rehearsal
from nova.features.notifications.retention import Ages, Retention
from nova.features.notifications.retraction import Retraction
from nova.features.notifications.runs import Runs
from nova.features.notifications.social import Social
from nova.features.notifications.still_valid import StillValid
from nova.features.notifications.title_rendering import Naming
from nova.features.notifications.traces import Afterwards, Failures, Traces
from nova.features.notifications.types import Types
from nova.features.notifications.watching import Watching
from nova.kernel.clock import Clock
from nova.web.cursors import Cursors


class DeadLetters(Protocol):
    """Facts that could not be handled."""

    async def list(
        self, *, consumer: str | None = None, numbers: Sequence[int] | None = None, limit: int = 100
    ) -> Sequence[Any]: ...

    async def replay(self, *, numbers: Sequence[int] | None = None) -> int:
        """Hand them to their consumers again; return how many there were."""


class Knobs(Struct, frozen=True, kw_only=True):
    """What a deployment may choose."""

    burst_s: float = 3_600.0
    """For how long others join the notification of the first."""
    retention_days: float = 30
    dedupe_days: float = 14
    defaults: Mapping[str, bool] = {}
    """Which channels are off where neither person nor type says so."""


class Others(Struct, frozen=True, kw_only=True):
    """What notifications ask of other features, and of the log."""

    blocks: Blocks
    subjects: Sequence[Subjects] = ()
    """Answer whether what notifications stand on still does."""
    dead_letters: DeadLetters | None = None
    failures: Failures | None = None
    reach: Reach | None = None
    """Knows who has devices."""
    afterwards: Afterwards | None = None
    """Knows what became of deliveries to them."""


class Notifications:
    """Everything about notifications; `close()` writes the last runs down."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        people: People,
        registry: CollectorRegistry,
        *,
        others: Others,
        signing_secret: bytes,
        knobs: Knobs | None = None,
    ) -> None:
        knobs, blocks = knobs or Knobs(), others.blocks
        ages = Ages(dedupe_s=knobs.dedupe_days * DAY_S, lifetime_s=knobs.retention_days * DAY_S)
        self._db = db
        self.people = people
        self.dead_letters = others.dead_letters
        self.valid = StillValid(others.subjects)
        self.types = Types(db, clock)
        self.preferences = PreferenceBook(db, clock, self.types, defaults=knobs.defaults)
        self.social = Social(clock)
        self.runs = Runs(db)
        self.pipeline = Pipeline(
            clock,
            people,
            self.types,
            self.preferences,
            blocks,
            runs=self.runs,
            registry=registry,
            lifetime_s=ages.lifetime_s,
            bursts=Bursts(clock, people, blocks, knobs.burst_s),
            valid=self.valid,
            reach=others.reach,
        )
        self.ingest = Ingest(db, clock, self.types, self.pipeline, people)
        self.rehearsal = Rehearsal(self.pipeline, people, self.types)
        self.inbox = Inbox(db, clock, people, Cursors(signing_secret, "inbox", int))
        self.removal = Removal(db, clock, remembered_s=ages.dedupe_s)
        self.post_rings = PostRings(clock, self.valid)
        self.reviews = Reviews(db, self.valid, self.types, people, self.removal)
        self.retraction = Retraction(db, self.reviews, self.removal)
        self.erasing = Erasing(db, self.removal, self.reviews)
        self.naming = Naming(db, self.types, people)
        self.traces = Traces(db, others.failures, others.afterwards)
        self.watching = Watching(db, clock, people, Cursors(signing_secret, "events", UUID))
        self.retention = Retention(db, clock, ages)

    async def close(self) -> None:
        await self.runs.close()

    async def expire(self) -> None:
        """Remove what has expired, until little is left."""
        await in_portions(self.removal.expire)

    async def forget(self) -> None:
        """Delete what need not be remembered any longer."""
        await self.retention.forget_events()
        await self.retention.forget_runs()

    async def lighten(self, user: UUID) -> None:
        """Remove most of the inbox of a user who is to be erased, some at a time."""
        await in_portions(lambda most: self._db.value(boxes.LIGHTEN, user, most))

    async def erase(self, tx: Tx, user: UUID) -> None:
        """Remove all that is held about a user."""
        await boxes.erase(tx, user)
        await self.preferences.erase(tx, user)

    async def export(self, user: UUID) -> Mapping[str, Any]:
        """Return all that is held about a user."""
        chosen = await self.preferences.get(user)
        return {
            "notifications": await everything(self._db, self.people, user),
            "preferences": {
                "channels": chosen.channels,
                "types": chosen.types,
                "objects": chosen.objects,
            },
        }
