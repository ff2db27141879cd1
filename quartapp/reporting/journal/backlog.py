"""What of the journal is not counted yet, according to how far each segment was counted."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from quartapp.reporting.journal.entries import decode
from quartapp.reporting.journal.segments import open_segment


def uncounted(paths: Sequence[Path], offsets: Mapping[str, int]) -> tuple[int, float]:
    """How many segments have uncounted lines, and the time of the oldest one. Blocks."""
    waiting, oldest = 0, time.time()
    for path in paths:
        with suppress(OSError), open_segment(path) as reading:
            offset = offsets.get(path.stem, 0)
            if reading is None or not reading.has_data(offset):
                continue
            waiting += 1
            line = reading.first(offset)
            with suppress(ValueError):  # of another version
                oldest = min(oldest, decode(line).time if line else oldest)
    return waiting, oldest
