"""What a busy machine takes from a measurement."""

from contextlib import suppress
from pathlib import Path

_SCHEDULED = Path("/proc/thread-self/schedstat")


def queued() -> float:
    """Seconds for which this thread so far was ready and had no processor; 0.0 where the kernel
    does not tell (https://docs.kernel.org/scheduler/sched-stats.html)."""
    with suppress(OSError):
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    return 0.0
