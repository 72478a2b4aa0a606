"""Run a command with every engine up: `python tests/engines -- make test`.

Without a command, the engines run until Ctrl-C and the variables to use them are printed.
Engines that the machine does not have are named, and skipped; under CI that is a failure.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

# In place of this folder, whose modules are named like the libraries of their engines.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.engine import Engine, Missing  # after the path is known
from engines.kafka import kafka, kafka_on_zookeeper
from engines.neo4j import neo4j
from engines.postgresql import postgresql
from engines.redis import redis

Start = Callable[[Path], AbstractContextManager[Engine]]

ENGINES: dict[str, tuple[Start, str]] = {
    "postgresql": (postgresql, "NOVA_TEST_DATABASE"),
    "neo4j": (neo4j, "NOVA_TEST_NEO4J"),
    "redis": (redis, "NOVA_TEST_REDIS"),
    "kafka": (kafka, "NOVA_TEST_KAFKA"),
    "kafka-zookeeper": (kafka_on_zookeeper, "NOVA_TEST_KAFKA_ZOOKEEPER"),
}


def main(command: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="nova-engines-")))
        folder.chmod(0o755)
        variables = started(folder, running)
        if os.environ.get("CI") and len(variables) < len(ENGINES):
            return 1
        for variable, url in variables.items():
            print(f"export {variable}={url}", flush=True)
        if command:
            environment = os.environ | variables | {"NOVA_TEST_ENGINES": " ".join(ENGINES)}
            return subprocess.run(command, env=environment, check=False).returncode
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
        return 0


def started(folder: Path, running: ExitStack) -> dict[str, str]:
    """Start all engines at once; return the variables that say where those that run are."""

    def start(name: str) -> Engine | Missing:
        engine = ENGINES[name][0](folder / name)
        try:
            there = engine.__enter__()
        except Missing as missing:
            return missing
        running.push(engine.__exit__)
        return there

    variables = {}
    with ThreadPoolExecutor(len(ENGINES)) as starters:
        for name, there in zip(ENGINES, starters.map(start, ENGINES), strict=True):
            if isinstance(there, Missing):
                print(f"engine {name}: not run: {there}", flush=True)
            else:
                print(f"engine {name}: {there.version}", flush=True)
                variables[ENGINES[name][1]] = there.url
    return variables


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(arguments[1:] if arguments[:1] == ["--"] else arguments))
