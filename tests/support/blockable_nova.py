"""`nova`, whose event loop something holds from SIGUSR1 on, until the file HOLDS is gone."""

import os
import signal
import sys
from pathlib import Path

from nova.cli import main

HOLDS = "HOLDS_THE_LOOP"
"""Names the variable that names the file."""


def hold(_signal: int, _frame: object) -> None:
    while Path(os.environ[HOLDS]).exists():
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hold)
    sys.exit(main())
