"""Metrics of all workers of a server, added up, whichever worker is asked."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from secrets import token_hex

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, Metric
from structlog import get_logger

WRITE_S = 1.0
"""Between two copies of a worker's metrics: what one counted since is lost when it is killed."""
ENDED = "ended.metrics"
READINGS = 10
"""A worker may end while the files are read: then they are read again, so often at most."""
ADDED_UP = {"counter", "histogram", "summary"}
LABEL = "worker"
CREATED = "_created"

_log = get_logger()


class Sample(Struct, array_like=True):
    """A value of a metric."""

    name: str
    labels: dict[str, str]
    value: float


class Family(Struct, array_like=True):
    """A metric, with its samples."""

    name: str
    about: str
    kind: str
    samples: list[Sample]


class Ended(Struct):
    """What workers counted that have ended."""

    files: list[str] = []
    """Whose files are added already, though they may still be there."""
    families: list[Family] = []


_decode = msgspec.msgpack.Decoder(list[Family]).decode
_decode_ended = msgspec.msgpack.Decoder(Ended).decode


class WorkerMetrics:
    """The metrics of a registry, with those that the other workers left in a folder.

    Counters, summaries and histograms are added up, those of workers that have ended, too, so a sum
    never falls. Gauges of the living stand side by side, with a label that names the process.
    """

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._file = folder / f"{os.getpid()}-{token_hex(4)}.metrics"

    def collect(self) -> Iterator[Metric]:
        self.write()
        ended, living = _read(self._folder)
        found = [(family, "") for family in ended.families]
        for name, families in living:
            found += [(family, name.partition("-")[0]) for family in families]
        for family in _added(found):
            metric = Metric(family.name, family.about, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric

    def write(self) -> None:
        """Leave a copy of this process's metrics to the other workers."""
        families = [
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                [Sample(each.name, each.labels, float(each.value)) for each in metric.samples],
            )
            for metric in self._registry.collect()
        ]
        _write(self._file, msgspec.msgpack.encode(families))

    async def run_once(self) -> None:
        """Write, and wait a while."""
        try:
            self.write()
        except OSError as reason:
            _log.warning("metrics_not_shared", reason=str(reason))
        await asyncio.sleep(WRITE_S)


def add_ended(folder: Path, pid: int) -> None:
    """Add what a worker that has ended counted to what the earlier ones did; for one process."""
    ended = _ended(folder)
    files = sorted(folder.glob(f"{pid}-*.metrics"))
    counted = [family for file in files for family in _decode(file.read_bytes())]
    kept = _added([(each, "") for each in (*ended.families, *counted) if each.kind in ADDED_UP])
    _write(folder / ENDED, msgspec.msgpack.encode(Ended([file.name for file in files], kept)))
    for file in files:
        file.unlink()


def _read(folder: Path) -> tuple[Ended, list[tuple[str, list[Family]]]]:
    """Return what the ended workers left, and what the living ones did, by file."""
    for _ in range(READINGS):
        ended = _ended(folder)
        try:
            living = [
                (file.name, _decode(file.read_bytes()))
                for file in sorted(folder.glob("*-*.metrics"))
                if file.name not in ended.files
            ]
        except FileNotFoundError:
            continue
        if _ended(folder).files == ended.files:
            return ended, living
    raise OSError("workers end faster than their metrics can be read")


def _ended(folder: Path) -> Ended:
    try:
        return _decode_ended((folder / ENDED).read_bytes())
    except FileNotFoundError:
        return Ended()


def _added(families: Iterable[tuple[Family, str]]) -> list[Family]:
    """Add families up by name; samples of gauges get the worker that is named as a label."""
    found: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family, worker in families:
        found.setdefault(family.name, family)
        samples = values.setdefault(family.name, {})
        for each in family.samples:
            labels = each.labels if family.kind in ADDED_UP else {**each.labels, LABEL: worker}
            key = each.name, tuple(labels.items())
            before = samples.get(key)
            if before is None:
                samples[key] = each.value
            elif each.name.endswith(CREATED):
                samples[key] = min(before, each.value)
            else:
                samples[key] = before + each.value
    return [
        Family(
            family.name,
            family.about,
            family.kind,
            [Sample(name, dict(labels), value) for (name, labels), value in values[name_].items()],
        )
        for name_, family in found.items()
    ]


def _write(file: Path, data: bytes) -> None:
    """Write a file whole, or not at all."""
    draft = file.with_suffix(".new")
    draft.write_bytes(data)
    draft.rename(file)
