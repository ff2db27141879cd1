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
from typing import NamedTuple, Protocol
from weakref import WeakMethod

from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.places import Places
from quartapp.redact.reading import ExceptionReading
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.capture.builder import Captured, capture
from quartapp.reporting.capture.fingerprint import fingerprint, former_fingerprints
from quartapp.reporting.journal.entries import UNKNOWN, Brief, Entry, Tick
from quartapp.reporting.report import Origin, Report, adapter, person_of

FULL_REPORTS = 5
WINDOW = 60.0
LIVE_FINGERPRINTS = 1000
MOST_KINDS = 100

_NESTING = 3

Subject = BaseException | logging.LogRecord
RequestContext = Callable[[], Context]
Met = Callable[[], tuple[str, str]]
"""Returns the reference of an occurrence and the ID of its user, each "" if it is unknown."""

_logger = logging.getLogger(__name__)


class EntryLog(Protocol):
    """What entries are appended to. No method raises or waits.

    While it `is_crowded`, it is given no full reports.
    """

    @property
    def is_crowded(self) -> bool: ...

    def append(self, payload: bytes) -> bool:
        """Keep an entry; False if there is no room."""

    def write_waiting(self) -> None:
        """Finish what could not be finished by `append`."""

    def add_losses(self, reports: int, counted: int, now: float) -> bool:
        """Add to the number of losses; False if that has to be tried again."""


class Capture(Protocol):
    """Makes the full report of an occurrence. Never raises."""

    def __call__(
        self,
        subject: Subject,
        context: Context,
        *,
        now: float,
        places: Places,
        origin: Origin,
        scrubber: Scrubber,
        fingerprint: str,
    ) -> Captured: ...


class Recorded(NamedTuple):
    """The group of an occurrence, and for a full report the reading of its exception, which the log
    line uses too. It `is_repeated` if it was only counted, since others of its group were recorded
    within the last minute, and `is_refused` if the journal did not take it: only its count is kept,
    in memory."""

    fingerprint: str
    reading: ExceptionReading | None
    is_repeated: bool = False
    is_refused: bool = False


class Recorder:
    """Writes errors to the journal of this process. `record` may be called from any thread.

    `lost_reports` is the number of occurrences that the journal refused: their details are lost.
    Their counts are kept in memory, and `write_owed` writes them later. It also stores the number
    of losses for commands (see `journal.losses`). `listeners` are called with each full report
    after it is in the journal. `kinds` has the number of occurrences since the start by the name of
    the exception's class; it is "log" for what was logged without one.
    """

    def __init__(
        self,
        journal: EntryLog,
        *,
        places: Places,
        origin: Callable[[], Origin],
        scrubber: Scrubber,
        capture: Capture = capture,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.journal = journal
        self.lost_reports = 0
        self.listeners: list[Callable[[Report], None]] = []
        self.kinds: dict[str, int] = {}
        self.places = places
        self._origin = functools.cache(origin)
        self.scrubber = scrubber
        self._capture = capture
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._owed: dict[str, int] = {}
        self._noted = (0, 0)
        self._nested = threading.local()
        self._lock = threading.RLock()
        _renew_lock_after_fork(self)

    @property
    def origin(self) -> Origin:
        """What runs, as all reports of this process have it. The first time it may ask git."""
        return self._origin()

    def prepare(self) -> None:
        """Do now what the first error would wait for: ask git for the release, for example."""
        self._origin()
        adapter()

    def record(
        self,
        subject: Subject,
        request_context: RequestContext = Context,
        met: Met = lambda: ("", ""),
    ) -> Recorded:
        """Write one occurrence to the journal. Never raises, never waits.

        `request_context` is called only if more than a tick is written, `met` otherwise.
        """
        depth = getattr(self._nested, "depth", 0)
        self._nested.depth = depth + 1
        group = UNKNOWN
        reading: ExceptionReading | None = None
        is_repeated = False
        is_kept = True
        try:
            self._count_kind(subject)
            if depth >= _NESTING:
                raise RecursionError("an error while recording an error while recording an error")
            group = fingerprint(subject, self.places)
            entry, reading = self._entry(subject, group, request_context, met, brief=depth > 0)
            is_kept = self._write(entry, group)
            is_repeated = isinstance(entry, Tick)
        except Exception as error:  # noqa: BLE001 - reporting an error must not raise another
            is_kept = self._fall_back(group, met, error)
        else:
            self._notify(entry)
        finally:
            self._nested.depth = depth
        return Recorded(group, reading, is_repeated, not is_kept)

    def _entry(
        self,
        subject: Subject,
        group: str,
        request_context: RequestContext,
        met: Met,
        *,
        brief: bool,
    ) -> tuple[Entry, ExceptionReading | None]:
        now = self._clock()
        number = self._count(group, now)
        if number > FULL_REPORTS or (number > 1 and (brief or self.journal.is_crowded)):
            return Tick(group, int(now), 1, *_who(met)), None
        if number == 0 or brief or self.journal.is_crowded:
            return self._brief(subject, group, request_context, met, now), None
        return self._capture(
            subject,
            request_context(),
            now=now,
            places=self.places,
            origin=self._origin(),
            scrubber=self.scrubber,
            fingerprint=group,
        )

    def _count_kind(self, subject: Subject) -> None:
        error = exception_of(subject)
        kind = "log" if error is None else type(error).__qualname__
        with self._lock:
            if kind not in self.kinds and len(self.kinds) >= MOST_KINDS:
                kind = "other"
            self.kinds[kind] = self.kinds.get(kind, 0) + 1

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
        self, subject: Subject, group: str, request_context: RequestContext, met: Met, now: float
    ) -> Brief:
        title, culprit = _name(subject, self.places)
        collector = SecretCollector()
        if exception_of(subject) is None:  # a message may have been formatted before it was logged
            collector.context(request_context())
        [title] = self.scrubber.clean([title], secrets=collector.secrets)
        former = former_fingerprints(subject, self.places)
        return Brief(group, int(now), title, culprit, 1, *_who(met), former)

    def _write(self, entry: Entry, group: str) -> bool:
        """Write an entry, or keep its count in memory and return False."""
        if not self.journal.append(entry.encode()):
            self._owe(group)
            return False
        if self._owed:
            self.write_owed()
        return True

    def _notify(self, entry: Entry) -> None:
        for listener in self.listeners:
            try:
                if isinstance(entry, Report):
                    listener(entry)
            except Exception as error:  # noqa: BLE001 - the journal has the report
                _logger.error("A listener to reports failed: %s", type(error).__name__)

    def _fall_back(self, group: str, met: Met, error: Exception) -> bool:
        _logger.error("Recording an error failed: %s", type(error).__name__)
        if self.journal.append(Tick(group, int(time.time()), 1, *_who(met)).encode()):
            return True
        self._owe(group)
        return False

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
        if (lost, counted) != before and self.journal.add_losses(
            lost - before[0], counted - before[1], self._clock()
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


def _who(met: Met) -> tuple[str, str]:
    """The reference of an occurrence, and what stands for its user."""
    try:
        reference, user_id = met()
        return reference, person_of(user_id)
    except Exception:  # noqa: BLE001 - an occurrence without them is counted too
        return "", ""


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
