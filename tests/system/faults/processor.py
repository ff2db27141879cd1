"""How a busy machine distorts a measurement."""

from contextlib import suppress
from pathlib import Path

_SCHEDULED = Path("/proc/thread-self/schedstat")


def queued() -> float:
    """Seconds for which this thread was runnable so far, but had no processor; 0.0 if the kernel
    does not report it (https://docs.kernel.org/scheduler/sched-stats.html)."""
    with suppress(OSError):
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    return 0.0
