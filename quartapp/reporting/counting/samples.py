"""Which samples of a group are kept: the first, the last ten, and some that are spread over its
life. Pure."""

from collections.abc import Sequence
from math import log10

LAST = 10
MOST = 100
FEW = 3
"""So many stay of a group that has been silent for long."""

SLACK = 10
"""So many more are kept for a while, so that not each new sample costs a look at all."""


def allowed(count: int) -> int:
    """How many samples a group of so many occurrences keeps: 11 at first, 20 more for each power of
    ten beyond 30, 100 from a million on."""
    return max(LAST + 1, min(MOST, round(20 * log10(max(count, 1))) - 20))


def superfluous(samples: Sequence[tuple[int, float]], most: int) -> list[int]:
    """The ids to delete of `samples`, the oldest first, each an id and a time, so that `most` stay.

    The next to go is always the one whose neighbours are nearest to each other in time.
    """
    kept = list(samples)
    gone = []
    while len(kept) > most:
        inner = range(1, max(len(kept) - min(LAST, most - 1), 2))
        index = min(inner, key=lambda i: kept[min(i + 1, len(kept) - 1)][1] - kept[i - 1][1])
        gone.append(kept.pop(index)[0])
    return gone
