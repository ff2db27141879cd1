"""The priority of threads that compute for long."""

import os
import sys
import threading
from contextlib import suppress

_NICE = 15


def give_way(native_id: int | None = None) -> None:
    """Let the threads of this process that answer requests run before this one, or a given one.

    Only on Linux, where each thread has a priority; it cannot be raised again. Does nothing
    elsewhere, or if the thread has ended.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, native_id or threading.get_native_id(), _NICE)
