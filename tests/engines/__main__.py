"""Run a command with every engine up: `python tests/engines -- make test`.

Without a command, the engines run until Ctrl-C and the variables to use them are printed.
Engines that the machine does not have are named, and skipped; under CI that is a failure.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.postgresql import Missing, postgresql  # after the path is known

ENGINES = {"postgresql": (postgresql, "NOVA_TEST_DATABASE")}


def main(command: Sequence[str]) -> int:
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="nova-engines-")))
        folder.chmod(0o755)
        variables = {}
        for name, (start, variable) in ENGINES.items():
            try:
                engine = running.enter_context(start(folder / name))
            except Missing as missing:
                print(f"engine {name}: not run: {missing}")
                if os.environ.get("CI"):
                    return 1
            else:
                print(f"engine {name}: {engine.version}")
                variables[variable] = engine.url
        for variable, url in variables.items():
            print(f"export {variable}={url}", flush=True)
        if command:
            return subprocess.run(command, env=os.environ | variables, check=False).returncode
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
        return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(arguments[1:] if arguments[:1] == ["--"] else arguments))
