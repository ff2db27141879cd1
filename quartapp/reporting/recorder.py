"""The recorder: writes one line to the journal for each error, without waiting for anything.

It is synchronous, and uses no socket and no database. The first five occurrences of an error in a
minute are written as full reports, further ones as ticks: details are left out, counts never.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple
from weakref import WeakMethod

from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.places import Places
from quartapp.redact.reading import ExceptionReading
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.capture.fingerprint import fingerprint
from quartapp.reporting.journal.entries import UNKNOWN, Brief, Entry, Tick
from quartapp.reporting.journal.losses import add_losses
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.report import Origin, Report, adapter

FULL_REPORTS = 5
WINDOW = 60.0
LIVE_FINGERPRINTS = 1000

_NESTING = 3

Subject = BaseException | logging.LogRecord
RequestContext = Callable[[], Context]

_logger = logging.getLogger(__name__)


class Recorded(NamedTuple):
    """The group of an occurrence, and for a full report the reading of its exception, which the log
    line uses too. It `is_repeated` if it was only counted, since others of its group were recorded
    within the last minute."""

    fingerprint: str
    reading: ExceptionReading | None
    is_repeated: bool = False


class Recorder:
    """Writes errors to the journal of this process. `record` may be called from any thread.

    `lost_reports` is the number of occurrences that the journal refused: their details are lost.
    Their counts are kept in memory, and `write_owed` writes them later. It also stores the number
    of losses for commands (see `journal.losses`). `listeners` are called with each full report
    after it is in the journal.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        places: Places,
        origin: Callable[[], Origin],
        scrubber: Scrubber,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.journal = journal
        self.lost_reports = 0
        self.listeners: list[Callable[[Report], None]] = []
        self.places = places
        self._origin = functools.cache(origin)
        self._scrubber = scrubber
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._owed: dict[str, int] = {}
        self._noted = (0, 0)
        self._nested = threading.local()
        self._lock = threading.RLock()
        _renew_lock_after_fork(self)

    def prepare(self) -> None:
        """Do now what the first error would wait for: ask git for the release, for example."""
        self._origin()
        adapter()

    def record(self, subject: Subject, request_context: RequestContext = Context) -> Recorded:
        """Write one occurrence to the journal. Never raises, never waits.

        `request_context` is called only if more than a tick is written.
        """
        depth = getattr(self._nested, "depth", 0)
        self._nested.depth = depth + 1
        group = UNKNOWN
        reading: ExceptionReading | None = None
        is_repeated = False
        try:
            if depth >= _NESTING:
                raise RecursionError("an error while recording an error while recording an error")
            group = fingerprint(subject, self.places)
            entry, reading = self._entry(subject, group, request_context, brief=depth > 0)
            self._write(entry, group)
            is_repeated = isinstance(entry, Tick)
        except Exception as error:  # noqa: BLE001 - reporting an error must not raise another
            self._fall_back(group, error)
        else:
            self._notify(entry)
        finally:
            self._nested.depth = depth
        return Recorded(group, reading, is_repeated)

    def _entry(
        self, subject: Subject, group: str, request_context: RequestContext, *, brief: bool
    ) -> tuple[Entry, ExceptionReading | None]:
        now = self._clock()
        number = self._count(group, now)
        if number > FULL_REPORTS or (number > 1 and (brief or self.journal.is_crowded)):
            return Tick(group, int(now)), None
        if number == 0 or brief or self.journal.is_crowded:
            return self._brief(subject, group, request_context, now), None
        return capture(
            subject,
            request_context(),
            now=now,
            places=self.places,
            origin=self._origin(),
            scrubber=self._scrubber,
            fingerprint=group,
        )

    def _count(self, group: str, now: float) -> int:
        """The ordinal of this occurrence in its minute; 0 if too many groups are live to track."""
        start, number = self._windows.get(group, (0.0, 0))
        if number and 0 <= now - start < WINDOW:
            self._windows[group] = (start, number + 1)
            return number + 1
        self._windows.pop(group, None)
        if len(self._windows) >= LIVE_FINGERPRINTS and not self._forget_oldest(now):
            return 0
        self._windows[group] = (now, 1)  # last: the dict is ordered by start
        return 1

    def _forget_oldest(self, now: float) -> bool:
        try:
            oldest = next(iter(self._windows))
            if 0 <= now - self._windows[oldest][0] < WINDOW:
                return False
            self._windows.pop(oldest, None)
        except (StopIteration, KeyError, RuntimeError):
            return False  # another thread has changed it
        return True

    def _brief(
        self, subject: Subject, group: str, request_context: RequestContext, now: float
    ) -> Brief:
        title, culprit = _name(subject, self.places)
        collector = SecretCollector()
        if exception_of(subject) is None:  # a message may have been formatted before it was logged
            collector.context(request_context())
        [title] = self._scrubber.clean([title], secrets=collector.secrets)
        return Brief(group, int(now), title, culprit)

    def _write(self, entry: Entry, group: str) -> None:
        payload = entry.encode()
        if not self.journal.append(payload):
            self._owe(group)
        elif self._owed:
            self.write_owed()

    def _notify(self, entry: Entry) -> None:
        for listener in self.listeners:
            try:
                if isinstance(entry, Report):
                    listener(entry)
            except Exception as error:  # noqa: BLE001 - the journal has the report
                _logger.error("A listener to reports failed: %s", type(error).__name__)

    def _fall_back(self, group: str, error: Exception) -> None:
        _logger.error("Recording an error failed: %s", type(error).__name__)
        if not self.journal.append(Tick(group, int(time.time())).encode()):
            self._owe(group)

    def _owe(self, group: str) -> None:
        with self._lock:
            self.lost_reports += 1
            if group not in self._owed and len(self._owed) >= LIVE_FINGERPRINTS:
                group = UNKNOWN
            self._owed[group] = self._owed.get(group, 0) + 1

    def write_owed(self) -> None:
        """Write the counts that the journal refused before, as many as it takes now, and store the
        number of losses."""
        self.journal.write_waiting()
        with self._lock:
            while self._owed:
                group, count = self._owed.popitem()
                if not self.journal.append(Tick(group, int(self._clock()), count).encode()):
                    self._owed[group] = self._owed.get(group, 0) + count
                    break
            self._note_losses()

    def take_owed(self) -> list[Tick]:
        """Return and forget the counts that are in no journal. The caller counts or logs them."""
        with self._lock:
            owed, self._owed = self._owed, {}
        now = int(self._clock())
        return [Tick(group, now, count) for group, count in owed.items()]

    def _note_losses(self) -> None:
        (lost, counted), before = (self.lost_reports, self.lost_reports - self.owed), self._noted
        if (lost, counted) != before and add_losses(
            self.journal.folder, lost - before[0], counted - before[1], self._clock()
        ):
            self._noted = lost, counted

    @property
    def owed(self) -> int:
        """The number of occurrences whose counts are in no journal yet."""
        return sum(self._owed.values())

    def _renew_lock(self) -> None:
        # Another thread of the parent may hold the old lock. The parent writes its own counts.
        self._lock = threading.RLock()
        self._owed = {}
        self._noted = self.lost_reports, self.lost_reports


def _renew_lock_after_fork(recorder: Recorder) -> None:
    renew = WeakMethod(recorder._renew_lock)

    def in_child() -> None:
        if method := renew():
            method()

    os.register_at_fork(after_in_child=in_child)


def _name(subject: Subject, places: Places) -> tuple[str, str]:
    """The title and the culprit of a brief entry."""
    error = exception_of(subject)
    if error is not None:
        return type(error).__qualname__, culprit(error.__traceback__, places)
    assert isinstance(subject, logging.LogRecord)
    message = subject.msg if type(subject.msg) is str else type(subject.msg).__name__
    return message, f"{subject.module}.{subject.funcName}"


def culprit(traceback: TracebackType | None, places: Places) -> str:
    """The innermost function of the application, or the innermost function if there is none."""
    found = None
    while traceback is not None:
        frame = traceback.tb_frame
        if found is None or places.of(frame.f_code.co_filename).in_app:
            found = frame
        traceback = traceback.tb_next
    return f"{found.f_globals.get('__name__', '?')}.{found.f_code.co_qualname}" if found else ""
