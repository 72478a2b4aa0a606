"""Neo4j, community edition, from its Maven artefacts."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import neo4j as driver
from neo4j.exceptions import DriverError, Neo4jError

from engines.engine import Engine, end, free_port, runner
from engines.java import SMALL, jars, java

STARTING_S = 300.0
RUN_AS = "nobody"
LARGE = "NOVA_ENGINES_LARGE"
"""Set, the server gets what measuring a large graph takes, instead of starting quickly."""
POM = Path(__file__).with_name("neo4j.pom.xml")
ENTRY = "org.neo4j.server.CommunityEntryPoint"

# What the server's own launcher opens to it.
OPENED = ("java.nio", "java.io", "sun.nio.ch")
OPENS = [f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in OPENED]

CONFIGURATION = """
server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
server.memory.pagecache.size={pages}
db.tx_log.preallocate=false
dbms.usage_report.enabled=false
"""


SMALL_JAVA = (*SMALL, "-Xms512m", "-Xmx512m")
LARGE_JAVA = ("-XX:+UseG1GC", "-Xms4g", "-Xmx4g")


class Server:
    """One server: start it, kill it where it stands, and start it again on the same data."""

    def __init__(self, folder: Path) -> None:
        self._java, self._jars = java(), jars(POM)
        self._user = runner(RUN_AS)
        self._home = folder
        self._port = free_port()
        self._password = "neo4j"  # what a new server has; `start` changes it
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "conf").mkdir(parents=True)
        self._is_large = bool(os.environ.get(LARGE))
        pages = "3g" if self._is_large else "128m"
        configuration = CONFIGURATION.format(port=self._port, pages=pages)
        (folder / "conf" / "neo4j.conf").write_text(configuration)
        if self._user is not None:
            for each in (folder, folder / "conf"):
                shutil.chown(each, self._user)

    @property
    def url(self) -> str:
        return f"neo4j://neo4j:{self._password}@127.0.0.1:{self._port}"

    def start(self) -> str:
        """Start it and return its version, once it answers queries."""
        with (self._home.parent / f"{self._home.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    *(self._java, *(LARGE_JAVA if self._is_large else SMALL_JAVA)),
                    *(*OPENS, "-cp", f"{self._jars}/*", ENTRY),
                    *(f"--home-dir={self._home}", f"--config-dir={self._home / 'conf'}"),
                ],
                user=self._user,
                extra_groups=None if self._user is None else [],
                stdout=log,
                stderr=log,
                cwd=self._home,
            )
        return self._until_ready(self._process)

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
            self._process.terminate()
            end(self._process)

    def _until_ready(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + STARTING_S
        while True:
            try:
                return self._asked()
            except (DriverError, Neo4jError) as wrong:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (self._home.parent / f"{self._home.name}.log").read_text()
                    self.stop()
                    raise RuntimeError(f"Neo4j did not start: {wrong} {said[-2000:]}") from wrong
            time.sleep(0.1)

    def _asked(self) -> str:
        address = f"bolt://127.0.0.1:{self._port}"
        with driver.GraphDatabase.driver(
            address, auth=("neo4j", self._password), max_transaction_retry_time=0
        ) as one:
            if self._password == "neo4j":
                password = token_hex(16)
                one.execute_query(
                    "alter current user set password from $old to $new",
                    old=self._password,
                    new=password,
                    database_="system",
                )
                self._password = password
                return self._asked()
            one.execute_query("return 1", database_="neo4j")
            return str(one.get_server_info().agent).replace("/", " ")


@contextmanager
def neo4j(folder: Path) -> Iterator[Engine]:
    """Run a Neo4j on a free port of the loopback address."""
    server = Server(folder)
    try:
        version = server.start()
        yield Engine(server.url, version)
    finally:
        server.stop()
