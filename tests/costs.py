"""How the cost of a function grows with the size of its input.

Only the CPU time of this thread is counted. Other processes still make it longer, as they use the
same caches, so both sizes are measured in turn and each counts with its best round.
"""

import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

FACTOR = 4
"""A linear function takes at most this much longer, a quadratic one 16 times."""

TOLERATED = 8.0

ROUNDS = 3
MOST_ROUNDS = 15


async def growth(run: Callable[[int], Awaitable[Any]], size: int) -> float:
    """The CPU time of a run for FACTOR times the size, divided by that of one.

    More than ROUNDS are made only while it is not TOLERATED.
    """
    small, large = float("inf"), float("inf")
    for number in range(MOST_ROUNDS):
        small = min(small, await _seconds(run, size))
        large = min(large, await _seconds(run, size * FACTOR))
        if number + 1 >= ROUNDS and large < small * TOLERATED:
            break
    return large / small


async def _seconds(run: Callable[[int], Awaitable[Any]], size: int) -> float:
    gc.disable()  # a collection looks at all objects of the suite
    try:
        start = time.thread_time()
        await run(size)
        return time.thread_time() - start
    finally:
        gc.enable()


def marks(number: int) -> str:
    """A text whose NFC takes quadratic time on Python 3.11 (python/cpython#149079)."""
    return "a" + "\u0301" * (number // 2) + "\u0316" * (number // 2)
