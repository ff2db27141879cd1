"""How the cost of something grows with the size of what it is given.

Only the time that this thread works is counted, so other processes do not matter.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

FACTOR = 4
"""What is linear takes at most this much longer, what is quadratic 16 times."""

TOLERATED = 8.0


async def growth(run: Callable[[int], Awaitable[Any]], size: int) -> float:
    """How much more of this thread a run costs for FACTOR times the size; the best of three."""
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
