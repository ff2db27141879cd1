"""How the cost of a function grows with the size of its input.

Only the CPU time of this thread is counted, so other processes have no influence.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

FACTOR = 4
"""A linear function takes at most this much longer, a quadratic one 16 times."""

TOLERATED = 8.0


async def growth(run: Callable[[int], Awaitable[Any]], size: int) -> float:
    """The CPU time of a run for FACTOR times the size, divided by that of one; the best of
    three."""
    return await _best(run, size * FACTOR) / await _best(run, size)


async def _best(run: Callable[[int], Awaitable[Any]], size: int) -> float:
    times = []
    for _ in range(3):
        start = time.thread_time()
        await run(size)
        times.append(time.thread_time() - start)
    return min(times)


def marks(number: int) -> str:
    """A text whose NFC takes quadratic time on Python 3.11 (python/cpython#149079)."""
    return "a" + "\u0301" * (number // 2) + "\u0316" * (number // 2)
