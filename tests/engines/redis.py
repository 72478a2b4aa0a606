"""Redis Cluster, of servers as the distribution ships them: three masters, and their replicas."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.engine import Engine, Missing, end, free_port, runner

STARTING_S = 300.0
RUN_AS = "redis"
MASTERS = 3


class Server:
    """One node: start it, kill it where it stands, and start it again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._bus = free_port()
        self._folder = folder
        self._options = options
        self._user = runner(RUN_AS)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        if self._user is not None:
            shutil.chown(folder, self._user)

    def start(self) -> None:
        # The default port of the bus is 10,000 higher, which for many free ports is none.
        self._process = subprocess.Popen(
            [
                *(_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--cluster-enabled", "yes", "--cluster-port", str(self._bus)),
                *("--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"),
                *("--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "no"),
                *("--dir", str(self._folder), *self._options),
            ],
            user=self._user,
            extra_groups=None if self._user is None else [],
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
        )

    def kill(self) -> None:
        """Kill it where it stands."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop it in its tracks: it keeps its connections, and answers nobody, until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            end(self._process)

    def ask(self, *command: str, password: str = "") -> str:
        """Run a command on this node and return what it answers."""
        credentials = ("-a", password, "--no-auth-warning") if password else ()
        done = subprocess.run(
            [_program("redis-cli"), "-p", str(self.port), *credentials, *command],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()


class Cluster:
    """Several nodes that are one cluster."""

    def __init__(
        self, folder: Path, *, replicas: int = 1, password: str = "", options: tuple[str, ...] = ()
    ) -> None:
        self._replicas = replicas
        self._password = password
        if password:
            options += ("--requirepass", password, "--masterauth", password)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.servers = [
            Server(folder / str(number), *options) for number in range(MASTERS * (1 + replicas))
        ]

    @property
    def url(self) -> str:
        return f"redis://{f':{self._password}@' if self._password else ''}" + ",".join(
            f"127.0.0.1:{each.port}" for each in self.servers[:MASTERS]
        )

    def start(self) -> str:
        """Start it and return its version, once every node serves all slots."""
        for each in self.servers:
            each.start()
        deadline = time.monotonic() + STARTING_S
        for each in self.servers:
            self._until(deadline, each, "PONG", "ping")
        done = subprocess.run(
            [
                *(_program("redis-cli"), "--cluster", "create"),
                *(f"127.0.0.1:{each.port}" for each in self.servers),
                *("--cluster-replicas", str(self._replicas), "--cluster-yes"),
                *(("-a", self._password, "--no-auth-warning") if self._password else ()),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=STARTING_S,
        )
        if done.returncode:
            raise RuntimeError(f"no cluster: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        self.until_whole()
        said = subprocess.check_output([_program("redis-server"), "--version"], text=True)
        return f"Redis {said.split('v=')[1].split()[0]}, {MASTERS} + {MASTERS * self._replicas}"

    def until_whole(self) -> None:
        """Wait until every node serves all slots, and every replica follows its master."""
        deadline = time.monotonic() + STARTING_S
        for each in self.servers:
            self._until(deadline, each, "cluster_state:ok", "cluster", "info")
            if self._replicas:
                self._until(deadline, each, _REPLICATES, "info", "replication")

    def stop(self) -> None:
        for each in self.servers:
            each.stop()

    def masters(self) -> list[Server]:
        """Return who owns slots now."""
        return [each for each in self.servers if "role:master" in self._info(each)]

    def _info(self, server: Server) -> str:
        return server.ask("info", "replication", password=self._password)

    def _until(
        self, deadline: float, server: Server, wanted: str | tuple[str, ...], *command: str
    ) -> None:
        wanted = (wanted,) if isinstance(wanted, str) else wanted
        while True:
            said = server.ask(*command, password=self._password)
            if any(each in said for each in wanted):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"Redis is not ready: {said}")
            time.sleep(0.05)


_REPLICATES = ("connected_slaves:1", "master_link_status:up")


@contextmanager
def redis(folder: Path) -> Iterator[Engine]:
    """Run a cluster of 3 masters with 3 replicas on free ports of the loopback address."""
    cluster = Cluster(folder)
    try:
        version = cluster.start()
        yield Engine(cluster.url, version)
    finally:
        cluster.stop()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing("install the package redis-server")
    return found
