"""The backbone as one object: what the composition root builds, runs and closes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from prometheus_client import CollectorRegistry
from structlog import get_logger

from nova.backbone.broadcasting import Broadcasting
from nova.backbone.channels import DurableChannels
from nova.backbone.database import Database
from nova.backbone.dead_letters import DeadLetters
from nova.backbone.direct_handling import DirectHandling
from nova.backbone.doubts import Doubts
from nova.backbone.erasure import Barrier
from nova.backbone.external_projections import ExternalProjection, KeptIndex
from nova.backbone.fanout import NotifyFanout
from nova.backbone.groups import Group, Pace
from nova.backbone.jobs import Job, Worker
from nova.backbone.listening import Listener, Listening
from nova.backbone.neighbours import Neighbours
from nova.backbone.outbox import PostgresOutbox
from nova.backbone.presence import SharedPresence
from nova.backbone.projections import Fill, Hear, Keep, Projection
from nova.backbone.retention import ChannelRetention, Chore
from nova.backbone.retries import RetryClock
from nova.backbone.signals import Signals
from nova.backbone.statistics import Counts, Instruments, Statistics
from nova.backbone.tasks import Tasks
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.kernel.events import Fact
from nova.ports.broadcast import Broadcast
from nova.ports.channels import Publication, Retention
from nova.ports.database import Pool
from nova.ports.event_log import EventLog

_log = get_logger()


def _nothing_kept(channel: str) -> Retention | None:  # noqa: ARG001  # the shape of a lookup
    return None


class Backbone:
    """Transactions with facts, channels and signals; and the tasks that carry them on."""

    def __init__(
        self,
        pool: Pool,
        *,
        log: EventLog,
        outbox: PostgresOutbox,
        clock: Clock,
        registry: CollectorRegistry,
        broadcast: Broadcast,
        pace: Pace,
        lease_s: float = 5.0,
        retention_days: int = 7,
        retention_of: Callable[[str], Retention | None] = _nothing_kept,
    ) -> None:
        """`broadcast` carries publications to other processes, and theirs to this one.

        `retention_of` says how much history a channel keeps.
        """
        self.log = log
        self._pool = pool
        self._clock = clock
        self._pace = pace
        self._instruments = Instruments(registry)
        self._tasks = Tasks(registry)
        self._consumers: dict[str, Sequence[str]] = {}
        """Topics by consumer."""
        self._groups: list[Group] = []
        self._heard: dict[str, list[str]] = {}
        """Types of facts by consumer."""
        self._projections: list[tuple[str, Projection]] = []
        self._outside: list[tuple[str, ExternalProjection]] = []
        self._counts: list[Counts] = []
        self._on_publication: list[Callable[[Sequence[Publication]], None]] = []
        self._neighbours = Neighbours(pool, self._consumers, lease_s=lease_s)
        self._doubts = Doubts(pool, writer=outbox.writer, published=self._publish)
        self.db = Database(
            pool,
            outbox,
            wrote=log.committed,
            published=self._publish,
            doubted=self._doubts.add,
        )
        self.channels = DurableChannels(self.db, outbox)
        self._orders = NotifyFanout(pool, others=lambda: self._neighbours.others, registry=registry)
        self.broadcasting = Broadcasting(
            broadcast,
            self._neighbours,
            self._orders,
            registry=registry,
            heard=self._hand_over,
        )
        self.presence = SharedPresence(pool, self._neighbours)
        self.signals = Signals(pool)
        self.dead_letters = DeadLetters(self.db)
        self.jobs: list[Job] = []
        """Add to these before `run`."""
        self._retention_days = retention_days
        self.turns: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        """Further work of this process, repeated for ever; add before `run`."""
        self._retries = RetryClock(pool, wait_s=pace.wait_s)
        self._channel_retention = ChannelRetention(pool, retention_of=retention_of)

    def group(
        self,
        name: str,
        hears: Mapping[type[Fact], Listener],
        directly: Mapping[type[Fact], Callable[[Any], bool]] = MappingProxyType({}),
    ) -> Sequence[Group]:
        """Add a consumer and return its readers; before `run`.

        `name` is for ever: it owns the stored cursors. `directly` tells which of the facts that are
        taken in may be handled in the transaction that appends them.
        """
        pace, counts = self._pace, Counts(self._instruments, name, self._clock)
        listening = Listening(
            name, hears, counts=counts, attempts=pace.attempts, retry_s=pace.retry_s
        )
        retries = self._retries.add(listening, self.db)
        topics = sorted({kind.topic for kind in hears})
        readers = [
            Group(
                listening,
                [kind for kind in hears if kind.topic == topic],
                log=self.log,
                db=self.db,
                neighbours=self._neighbours,
                retries=retries,
                pace=pace,
                reader=number,
            )
            for topic in topics
            for number in range(pace.readers)
        ]
        self._consumers[name] = topics
        self._heard[name] = [kind.__name__ for kind in hears]
        self._counts.append(counts)
        self._groups += readers
        for kind, suits in directly.items():
            self.db.direct[kind] = DirectHandling(
                name,
                hears[kind],
                process=self._neighbours.id,
                suits=suits,
                others=lambda: self._neighbours.others,
                readers=[reader for reader in readers if reader.topic == kind.topic],
                counts=counts,
            )
        return readers

    def project(
        self,
        name: str,
        kinds: Sequence[type[Fact]],
        *,
        fill: Fill,
        hear: Hear,
        keep: Keep | None = None,
    ) -> None:
        """Keep something in this process's memory in step with the truth; before `run`."""
        projection = Projection(self.log, kinds, fill=fill, hear=hear, keep=keep)
        self._projections.append((name, projection))

    def project_outside(self, name: str, kinds: Sequence[type[Fact]], index: KeptIndex) -> None:
        """Keep an index outside of the database in step with it; before `run`."""
        counts = Counts(self._instruments, name, self._clock)
        projection = ExternalProjection(
            self.log,
            kinds,
            index,
            counts=counts,
            retention_days=self._retention_days,
        )
        self._counts.append(counts)
        self._outside.append((name, projection))

    def on_publication(self, call: Callable[[Sequence[Publication]], None]) -> None:
        """Call with what this process published, and others to channels that are followed here."""
        self._on_publication.append(call)

    def barrier(self) -> Barrier:
        """Return what tells when every consumer has heard what was written before a moment."""
        return Barrier(self.log, self._heard, self.db.settled)

    def statistics(self) -> list[Statistics]:
        return [counts.statistics() for counts in self._counts]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Carry on everything in the background, until the block ends."""
        await self._neighbours.start()
        await self.log.start(lambda: self._neighbours.others)
        await self.signals.start()
        await self._orders.start()
        tasks = self._tasks
        tasks.forever("heartbeat", self._beat)
        tasks.forever("signals", self.signals.turn)
        tasks.forever("log", self.log.run_once)
        tasks.forever("doubts", self._doubts.turn)
        tasks.forever("orders", self._orders.turn)
        tasks.forever("interest", self.broadcasting.interest_turn)
        tasks.forever("broadcast", self.broadcasting.publish_turn)
        tasks.forever("broadcasts heard", self.broadcasting.receive_turn)
        tasks.forever("presence", self.presence.turn)
        for group in self._groups:
            tasks.forever(f"group {group.name} {group.topic}", group.turn)
        tasks.forever("retries", self._retries.turn)
        for retries in self._retries.all:
            tasks.forever(f"retries {retries.consumer}", retries.turn)
        for name, projection in self._projections:
            tasks.forever(f"projection {name}", projection.turn)
            tasks.forever(f"keeping {name}", projection.keep_now_and_then)
        for name, outside in self._outside:
            tasks.forever(f"watch {name}", outside.watch)
        feeding = [Chore(name, 1.0, outside.run) for name, outside in self._outside]
        for job in [
            Chore("log.partitions", 3600.0, self.log.maintain),
            Chore("channels.prune", 10.0, self._channel_retention.prune),
            *feeding,
            *self.jobs,
        ]:
            worker = Worker(job, self._pool, self._neighbours)
            tasks.forever(worker.name, worker.turn)
        for name, turn in self.turns:
            tasks.forever(name, turn)
        try:
            yield
        finally:
            await tasks.close()
            await self._keep()
            await self._leave()

    async def _beat(self) -> None:
        await self._neighbours.turn()
        for group in self._groups:
            if not group.is_settled:
                group.wake()

    async def _keep(self) -> None:
        """Keep what projections hold; without that they are filled from the truth again."""
        for name, projection in self._projections:
            try:
                await projection.keep()
            except (Unavailable, OSError) as reason:
                _log.warning("projection_not_kept", projection=name, reason=str(reason))

    async def _leave(self) -> None:
        try:
            await self._neighbours.leave()
        except Unavailable as refused:
            _log.warning("leases_left_to_expire", reason=refused.code)

    def _publish(self, publications: Sequence[Publication]) -> None:
        """Hand over what this process published, here and to the others."""
        self._hand_over(publications)
        self.broadcasting.publish(publications)

    def _hand_over(self, publications: Sequence[Publication]) -> None:
        for call in self._on_publication:
            try:
                call(publications)
            except Exception:  # noqa: BLE001  # one subscriber's bug must not cost the others
                _log.exception("publication_callback_failed")
