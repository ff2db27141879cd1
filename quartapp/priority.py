"""The priority of threads that compute for long, and what threads have used."""

import os
import sys
import threading
import time
from contextlib import suppress

if sys.platform == "linux":
    import resource  # Windows has none

_NICE = 15


def give_way(native_id: int | None = None) -> None:
    """Let the threads of this process that answer requests run before this one, or a given one.

    Only on Linux, where each thread has a priority; it cannot be raised again. Does nothing
    elsewhere, or if the thread has ended.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, native_id or threading.get_native_id(), _NICE)


def processor_time(thread: threading.Thread) -> float:
    """Seconds for which a thread has used a processor; 0 where the system does not tell."""
    if sys.platform != "linux" or thread.ident is None or not thread.is_alive():
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def blocks_read() -> int:
    """How many blocks this thread has read from a disk; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
