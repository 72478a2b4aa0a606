"""Kafka from its Maven artefacts: three brokers with KRaft, or one broker on a ZooKeeper."""

import base64
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from engines.engine import Engine, end, free_port, runner
from engines.java import SMALL, jars, java
from nova.simulators.certificates import Authority

STARTING_S = 300.0
RUN_AS = "nobody"
KRAFT = Path(__file__).with_name("kafka.pom.xml")
ZOOKEEPER = Path(__file__).with_name("kafka-zookeeper.pom.xml")
BROKER, ZOOKEEPER_SERVER = "kafka.Kafka", "org.apache.zookeeper.server.quorum.QuorumPeerMain"
FORMAT = ("kafka.tools.StorageTool", "format")
MEMORY = ("-Xms128m", "-Xmx256m", "-Xss512k")
NOWHERE = "127.0.0.1:1"
"""What the brokers of a cluster announce to those who come by their third listener."""
USERS = {"nova": "secret-of-nova", "stranger": "secret-of-stranger"}
"""Whom the listener with SASL knows. `nova` may do everything, `stranger` nothing."""

COMMON = """
num.network.threads=2
num.io.threads=2
background.threads=2
num.replica.fetchers=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=2097152
log.retention.check.interval.ms=1000
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
default.replication.factor={replicas}
min.insync.replicas={in_sync}
log.dirs={folder}/data
"""

# Sessions are short, so that a killed broker is missed after 3 seconds.
CLUSTER = """
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
SECURE://127.0.0.1:{secure},LOST://127.0.0.1:{lost}
advertised.listeners=BROKER://127.0.0.1:{port},SECURE://127.0.0.1:{secure},LOST://{nowhere}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,LOST:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor={replicas}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:nova
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/server.pem
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""

ON_ZOOKEEPER = """
broker.id=1
zookeeper.connect=127.0.0.1:{zookeeper}
zookeeper.session.timeout.ms=3000
listeners=PLAINTEXT://127.0.0.1:{port}
"""

# A session ends after 2 to 20 ticks, whatever a broker asks for.
ZOO_CFG = """
dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
tickTime=500
maxClientCnxns=0
admin.enableServer=false
"""

LOG4J = """
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c: %m%n
"""


class _Program:
    """One server in Java: start it, pause it, kill it where it stands."""

    def __init__(self, libraries: Path, folder: Path, main: str, configuration: str) -> None:
        self._libraries = libraries
        self.folder = folder
        self._main = main
        self._user = runner(RUN_AS)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self.properties = folder / "server.properties"
        self.properties.write_text(configuration)
        (folder / "log4j.properties").write_text(LOG4J)
        if self._user is not None:
            shutil.chown(folder, self._user)

    def call(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run one of its classes."""
        with (self.folder.parent / f"{self.folder.name}.log").open("a") as log:
            return subprocess.Popen(
                [
                    *(java(), *SMALL, *MEMORY, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
                    f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}",
                    *("-cp", f"{self._libraries}/*", *arguments),
                ],
                user=self._user,
                extra_groups=None if self._user is None else [],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def start(self) -> None:
        self._process = self.call(self._main, str(self.properties))

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()[-2000:]

    def send(self, number: signal.Signals) -> None:
        if self._process is not None and self.runs:
            self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it: at once, or with SIGTERM in an orderly way."""
        self.send(signal.SIGCONT)
        self.send(number)
        if self._process is not None:
            end(self._process)


class Cluster:
    """Brokers by number from 1, and what faults they can have."""

    def __init__(self, brokers: Sequence[_Program], ports: Sequence[int]) -> None:
        self.brokers = dict(enumerate(brokers, 1))
        self._ports = dict(enumerate(ports, 1))
        self.servers = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    @property
    def url(self) -> str:
        return f"kafka://{self.servers}"

    def start(self, *numbers: int) -> None:
        """Start brokers, all if none is named, and wait until every running one is ready."""
        for number in numbers or self.brokers:
            self.brokers[number].start()
        self.until_ready()

    def kill(self, number: int) -> None:
        """Kill a broker where it stands."""
        self.brokers[number].stop()

    def pause(self, number: int) -> None:
        """Stop a broker in its tracks: it keeps its connections, and answers nobody."""
        self.brokers[number].send(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self.brokers[number].send(signal.SIGCONT)

    def leader(self, topic: str, partition: int) -> int:
        """Return the number of the broker that leads a partition."""
        found = self.admin.list_topics(topic, timeout=10).topics[topic].partitions[partition]
        return int(found.leader)

    def move_leader(self, topic: str, partition: int) -> None:
        """Have another broker lead a partition: its leader is stopped in order, and comes back."""
        before = self.leader(topic, partition)
        self.brokers[before].stop(signal.SIGTERM)
        _until(lambda: self.leader(topic, partition) not in (before, -1), "a new leader", self)
        self.start(before)

    def elect(self, topic: str, partition: int) -> None:
        """Have the broker lead a partition that was its first leader."""
        asked = self.admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, partition)])
        asked.result(timeout=30)

    def stop(self) -> None:
        for broker in self.brokers.values():
            broker.send(signal.SIGKILL)
        for broker in self.brokers.values():
            broker.stop()

    def until_ready(self) -> None:
        """Wait until every broker that runs is known to all, and no partition lacks a replica."""

        def is_ready() -> bool:
            running = {number for number, broker in self.brokers.items() if broker.runs}
            if not all(_listens(self._ports[number]) for number in running):
                return False
            seen = self.admin.list_topics(timeout=5)
            return set(seen.brokers) == running and all(
                running & set(part.replicas) <= set(part.isrs)
                for topic in seen.topics.values()
                for part in topic.partitions.values()
            )

        _until(is_ready, "the brokers", self)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(holds: Callable[[], bool], what: str, cluster: Cluster) -> None:
    deadline = time.monotonic() + STARTING_S
    wrong: KafkaException | None = None
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except KafkaException as failed:
            wrong = failed
        for broker in cluster.brokers.values():
            if not broker.runs and "Exit" in broker.said:
                raise RuntimeError(f"Kafka ended: {broker.said}")
        time.sleep(0.1)
    said = "".join(broker.said for broker in cluster.brokers.values())
    raise RuntimeError(f"Kafka: waited too long for {what}: {wrong} {said}")


class KRaft(Cluster):
    """Brokers that are their own controllers, with a plain, a secure and a misled listener."""

    def __init__(self, folder: Path, *, brokers: int = 3) -> None:
        libraries = jars(KRAFT)
        folder.mkdir(parents=True, exist_ok=True)
        authority = Authority()
        self.authority = authority.write(folder / "authority.pem")
        numbers = range(1, brokers + 1)
        ports, controllers, secure, lost = ([free_port() for _ in numbers] for _ in range(4))
        voters = ",".join(
            f"{number}@127.0.0.1:{port}" for number, port in zip(numbers, controllers, strict=True)
        )
        programs = [
            _Program(
                libraries,
                folder / f"broker{number}",
                BROKER,
                (COMMON + CLUSTER).format(
                    number=number,
                    voters=voters,
                    port=ports[number - 1],
                    controller=controllers[number - 1],
                    secure=secure[number - 1],
                    lost=lost[number - 1],
                    nowhere=NOWHERE,
                    replicas=min(3, brokers),
                    in_sync=min(2, brokers),
                    folder=folder / f"broker{number}",
                    users=" ".join(f'user_{name}="{word}"' for name, word in USERS.items()),
                ),
            )
            for number in numbers
        ]
        self.secure = ",".join(f"127.0.0.1:{port}" for port in secure)
        self.lost = ",".join(f"127.0.0.1:{port}" for port in lost)
        for program in programs:
            (program.folder / "server.pem").write_bytes(authority.issued("127.0.0.1"))
        self._format(programs)
        super().__init__(programs, ports)

    def _format(self, programs: Sequence[_Program]) -> None:
        cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        scram = [
            part
            for name, word in USERS.items()
            for part in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={word}]")
        ]
        asked = [
            program.call(*FORMAT, "-t", cluster, "-c", str(program.properties), *scram)
            for program in programs
        ]
        for program, process in zip(programs, asked, strict=True):
            if process.wait(STARTING_S):
                raise RuntimeError(f"Kafka did not format its storage: {program.said}")


class OnZooKeeper(Cluster):
    """One broker of the last version that can do with a ZooKeeper, and a ZooKeeper."""

    def __init__(self, folder: Path) -> None:
        libraries = jars(ZOOKEEPER)
        zookeeper, port = free_port(), free_port()
        self.zookeeper = _Program(
            libraries,
            folder / "zookeeper",
            ZOOKEEPER_SERVER,
            ZOO_CFG.format(folder=folder / "zookeeper", port=zookeeper),
        )
        configuration = (COMMON + ON_ZOOKEEPER).format(
            folder=folder / "broker", zookeeper=zookeeper, port=port, replicas=1, in_sync=1
        )
        super().__init__([_Program(libraries, folder / "broker", BROKER, configuration)], [port])

    def start(self, *numbers: int) -> None:
        if not self.zookeeper.runs:
            self.zookeeper.start()
        super().start(*numbers)

    def stop(self) -> None:
        super().stop()
        self.zookeeper.stop()


@contextmanager
def kafka(folder: Path) -> Iterator[Engine]:
    """Run three brokers with KRaft on free ports of the loopback address."""
    with started(KRaft(folder)) as cluster:
        yield Engine(cluster.url, f"Kafka {_version(KRAFT)}, three brokers with KRaft")


@contextmanager
def kafka_on_zookeeper(folder: Path) -> Iterator[Engine]:
    """Run a broker on a ZooKeeper, on free ports of the loopback address."""
    with started(OnZooKeeper(folder)) as cluster:
        yield Engine(cluster.url, f"Kafka {_version(ZOOKEEPER)} on ZooKeeper")


@contextmanager
def started(cluster: Cluster) -> Iterator[Cluster]:
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _version(pom: Path) -> str:
    return jars(pom).name.rsplit("-", 2)[1]
