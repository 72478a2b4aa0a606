"""Child processes that end when the process that started them dies (Linux)."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def ends_with_parent(by: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child gets this signal when the process that calls this dies.

    It has to run after a change of user, which would clear the request (prctl(2)).
    """
    if sys.platform != "linux":
        return lambda: None
    parent, prctl = os.getpid(), ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare
