"""The metrics of several workers are those of one server."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from nova.web import worker_metrics
from nova.web.probes import shown
from nova.web.worker_metrics import WorkerMetrics, add_ended


class Worker:
    """A worker with some metrics, and a process id that is made up."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter("events", "Events.", ["kind"], registry=self.registry)
        self.took = Histogram("took_seconds", "Time.", buckets=(1, 10), registry=self.registry)
        self.open = Gauge("open", "Sockets.", registry=self.registry)
        never = Gauge("never", "Not a number.", registry=self.registry)
        never.set_function(lambda: float("nan"))
        is_open = Gauge("is_open", "Whether it is.", registry=self.registry)
        is_open.set_function(lambda: True)
        self.metrics = WorkerMetrics(self.registry, folder)
        self.metrics._file = folder / f"{pid}-made.metrics"
        self.pid = pid

    def says(self) -> dict[str, float]:
        """Return the samples that this worker shows, by name and labels."""
        families = text_string_to_metric_families(shown(self.metrics).decode())
        return {
            each.name + "".join(f" {key}={value}" for key, value in each.labels.items()): each.value
            for family in families
            for each in family.samples
            if not each.name.endswith("_created") and family.name not in {"never", "is_open"}
        }


def test_counters_and_histograms_are_added_up_and_gauges_stand_side_by_side(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 11), Worker(tmp_path, 12)
    one.events.labels("like").inc(3)
    two.events.labels("like").inc(4)
    two.events.labels("follow").inc()
    one.took.observe(0.5)
    two.took.observe(5)
    one.open.set(7)
    two.open.set(8)
    two.metrics.write()
    assert one.says() == {
        "events_total kind=like": 7,
        "events_total kind=follow": 1,
        "took_seconds_bucket le=1.0": 1,
        "took_seconds_bucket le=10.0": 2,
        "took_seconds_bucket le=+Inf": 2,
        "took_seconds_count": 2,
        "took_seconds_sum": 5.5,
        "open worker=11": 7,
        "open worker=12": 8,
    }


def test_sums_stay_and_gauges_go_when_a_worker_ends(tmp_path: Path) -> None:
    one = Worker(tmp_path, 11)
    for pid in (12, 13):
        other = Worker(tmp_path, pid)
        other.events.labels("like").inc(5)
        other.open.set(9)
        other.metrics.write()
        assert one.says()[f"open worker={pid}"] == 9
        add_ended(tmp_path, pid)
        assert f"open worker={pid}" not in one.says()
    assert one.says()["events_total kind=like"] == 10
    assert [file.name for file in tmp_path.glob("1[23]-*")] == []


def test_a_file_that_is_added_but_not_yet_removed_counts_once(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 11), Worker(tmp_path, 12)
    two.events.labels("like").inc(5)
    two.metrics.write()
    file = tmp_path / "12-made.metrics"
    kept = file.read_bytes()
    add_ended(tmp_path, 12)
    file.write_bytes(kept)
    assert one.says()["events_total kind=like"] == 5


def test_a_worker_that_ended_before_it_wrote_anything_changes_nothing(tmp_path: Path) -> None:
    one = Worker(tmp_path, 11)
    one.events.labels("like").inc()
    add_ended(tmp_path, 99)
    assert one.says()["events_total kind=like"] == 1


def test_a_process_writes_under_its_own_id(tmp_path: Path) -> None:
    WorkerMetrics(CollectorRegistry(), tmp_path).write()
    (file,) = tmp_path.iterdir()
    assert file.name.startswith(f"{os.getpid()}-")
    assert file.suffix == ".metrics"
    assert file.name != worker_metrics.ENDED
