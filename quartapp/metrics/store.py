"""The numbers of one worker, and the form in which the others read them.

A row is a metric with values for its labels; it has one number, or those of a histogram: one for
each bucket (not cumulative, the last one is +Inf), then the sum. Rows are never removed.
"""

import json
import logging
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from zlib import crc32

NAMES_BYTES = 256 * 1024
"""Room for the names of rows, from the beginning of a file; zeros follow the last one."""

FILE_BYTES = 2 * NAMES_BYTES
"""The numbers follow the names."""

MOST_ROWS = 1000
"""Rows of one metric. Further values of its labels are counted as OTHER."""

OTHER = "other"
_LONGEST_LABEL = 200
_NUMBERS = (FILE_BYTES - NAMES_BYTES) // 8

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """What is measured. The name is without `_total`; `bounds` are the upper ones of buckets.

    The gauges of living workers are added up, unless each worker has one of its own: `each`.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    each: bool = False

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return len(self.bounds) + 2 if self.bounds else 1

    @property
    def form(self) -> str:
        """What distinguishes the rows of this metric from those of another one of its name."""
        return f"{self.kind[0]}{crc32(repr((self.labels, self.bounds)).encode()):08x}"


class Row(NamedTuple):
    """A row as it was read. Of the metric's definition it has only the name and the form."""

    name: str
    form: str
    labels: tuple[str, ...]
    numbers: Sequence[float]


class Store:
    """The rows of a process. `numbers[place]` is added to in the thread of the event loop, `add` in
    any thread.

    There is room for a bounded number of rows; what has none is counted nowhere, and logged once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.numbers = array("d", bytes(8 * _NUMBERS))
        self._names = bytearray()
        self._end = 0
        self._places: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._rows: dict[str, int] = {}
        self._is_full = False

    def place(self, metric: Metric, *labels: str) -> int:
        """Where the first number of a row is. Makes the row."""
        return self._place(metric.name, metric.form, metric.width, labels)

    def _place(self, name: str, form: str, width: int, labels: tuple[str, ...]) -> int:
        place = self._places.get((name, form, labels))
        return self._make(name, form, width, labels) if place is None else place

    def _make(self, name: str, form: str, width: int, labels: tuple[str, ...]) -> int:
        with self._lock:
            # What is no text, such as a half of a surrogate pair, would be an error of the page.
            labels = tuple(
                label[:_LONGEST_LABEL].encode("utf-8", "backslashreplace").decode()
                for label in labels
            )
            if self._rows.get(name, 0) >= MOST_ROWS:
                labels = (OTHER,) * len(labels)
            key = (name, form, labels)
            if key in self._places:
                return self._places[key]
            line = json.dumps([name, form, width, *labels]).encode() + b"\n"
            room = _NUMBERS - 64  # the last ones are for what has no room
            if self._end + width > room or len(self._names) + len(line) > NAMES_BYTES - 64:
                if not self._is_full:
                    self._is_full = True
                    _logger.error("There are too many metrics: further ones are not counted")
                return room
            self._names += line
            place = self._places[key] = self._end
            self._end += width
            self._rows[name] = self._rows.get(name, 0) + 1
            return place

    def add(self, metric: Metric, amount: float, *labels: str) -> None:
        """Add to a counter or a gauge."""
        place = self.place(metric, *labels)
        with self._lock:
            self.numbers[place] += amount

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        self.numbers[self.place(metric, *labels)] = value

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a histogram."""
        place = self.place(metric, *labels)
        with self._lock:
            self.numbers[place + bisect_left(metric.bounds, value)] += 1
            self.numbers[place + len(metric.bounds) + 1] += value

    def take_over(self, rows: Sequence[Row]) -> None:
        """Continue the counters and histograms of a worker that has ended."""
        for name, form, labels, numbers in rows:
            if form[0] != "g":
                place = self._place(name, form, len(numbers), labels)
                for number, value in enumerate(numbers, place):
                    self.numbers[number] += value

    def renew(self) -> None:
        """Set all numbers to zero, in a forked process; another thread may have had the lock."""
        self._lock = threading.Lock()
        for number in range(self._end):
            self.numbers[number] = 0.0

    def __deepcopy__(self, _memo: object) -> "Store":
        """Itself: it is in the scope, of which Hypercorn's ProxyFixMiddleware makes a copy."""
        return self

    def content(self) -> tuple[bytes, bytes]:
        """The names and the numbers, as they are written to a file."""
        with self._lock:
            return bytes(self._names), self.numbers[: self._end].tobytes()


def read_rows(names: bytes, numbers: bytes) -> Iterator[Row]:
    """The rows of names and numbers. What is incomplete, because it is being written, is left out.

    Raises ValueError for what is no store.
    """
    values = array("d", numbers[: len(numbers) - len(numbers) % 8])
    place = 0
    for line in names.split(b"\n")[:-1]:
        name, form, width, *labels = json.loads(line)
        if place + width > len(values):
            return
        yield Row(name, form, tuple(labels), values[place : place + width])
        place += width
