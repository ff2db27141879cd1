"""`QueuedSMTPHandler`, in the place of `logging.handlers.SMTPHandler`."""

import copy
import logging
import logging.handlers
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from ssl import SSLContext
from weakref import ref

from quartapp.mail.strings import plain
from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.places import Places
from quartapp.redact.printing import printed
from quartapp.redact.scrub import Scrubber, window
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture.builder import Captured, capture
from quartapp.reporting.capture.origin import host
from quartapp.reporting.counting.aggregate import aggregate
from quartapp.reporting.handler.dispatch import Dispatcher, Source
from quartapp.reporting.handler.envelope import SUBJECT, envelope_of
from quartapp.reporting.handler.sender import Sender, at_end_of_child, at_work
from quartapp.reporting.handler.source import Memory, Spool
from quartapp.reporting.recorder import Recorder, Subject
from quartapp.reporting.report import Origin

_HALF = 7000
"""Characters that are kept of the beginning and of the end of a long text: what an exception says
is at its end. Both together fit into a report."""

_SUBJECT = 200
_COMPLAIN_EVERY = 60.0

_OWN_LOGGERS = (
    "aiosmtplib.",
    "asyncio.",
    "py.warnings.",
    "quartapp.mail.",
    "quartapp.redact.",
    "quartapp.reporting.",
)
"""What these log while a handler works is about its work, and would make it work again."""


class DeliveryError(Exception):
    """Error mails wait, or are lost; the text says why."""


class QueuedSMTPHandler(logging.handlers.SMTPHandler):
    """Mails log records as `SMTPHandler` does, without having the program wait, and in groups.

    The arguments are those of `SMTPHandler`. With `spool`, a folder, records survive the end of the
    process, however it ends: the next one with the same folder mails them. Processes may share it.

    `emit` uses no socket and waits for no lock. It appends the record to a queue in memory or to a
    file; `format` and `getSubject` are called for the first five records of a group in a minute,
    and the others are counted. Secrets are removed from both. The handler owns a daemon thread,
    started by the first record, which counts and mails: the first record of a group at once, then
    summaries with exact counts (see `limits`).

    `flush` and `close`, which `logging.shutdown` calls at exit, mail what is left; each waits for
    `timeout` seconds at most. They are called at the end of a child of `multiprocessing` too. What
    cannot be mailed is passed to `handleError`.
    """

    limits = Limits(initial_delay=0.2, cooldown=10.2, summaries=(10.2, 600.0, 3600.0))
    """The numbers of the alert policy. A subclass may have others."""

    def __init__(
        self,
        mailhost: str | tuple[str, int],
        fromaddr: str,
        toaddrs: str | Sequence[str],
        subject: str,
        credentials: tuple[str, str] | None = None,
        secure: tuple[object, ...] | SSLContext | None = None,
        timeout: float = 5.0,
        spool: str | os.PathLike[str] | None = None,
    ) -> None:
        # None would have the end of the process wait for a mail server without end.
        if not (timeout or 0) > 0:
            raise ValueError(f"timeout is {timeout!r}: expected seconds, more than 0")
        super().__init__(
            mailhost,
            fromaddr,
            toaddrs if isinstance(toaddrs, str) else list(toaddrs),
            subject,
            credentials,
            secure,  # type: ignore[arg-type]  # the stubs allow no context
            timeout,
        )
        self._source: Source
        self._source, waits = Memory(), False
        if spool is not None:
            self._source = Spool(Path(os.path.abspath(spool)))
            waits = self._source.may_wait
        self._scrubber = Scrubber([self.password] if self.username else [])
        self._recorder = Recorder(
            self._source,
            # Under no folder: what is neither a library nor Python is the program.
            places=Places(Path(os.devnull)),
            origin=Origin,
            scrubber=self._scrubber,
            capture=self._capture,
        )
        self._dispatcher = Dispatcher(
            self._source,
            self._recorder,
            self.limits,
            envelope=lambda: envelope_of(self),
            complain=self._complain,
            hurry_seconds=lambda: self.timeout,
        )
        self._recorder.prepare()
        self._sender = Sender(self._dispatcher, self._renew)
        self._is_used = waits
        self._used_in = 0
        self._is_late = False
        self._complain_at = float("-inf")
        if waits:
            self._sender.wake()

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit a record unless a filter refuses it. No lock is taken: `flush` may have it."""
        passed: object = self.filter(record)
        if passed:
            # From Python 3.12 on a filter may replace the record.
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Record a log record. Never raises, never waits."""
        if at_work.value and f"{record.name}.".startswith(_OWN_LOGGERS):
            return
        before, at_work.value = at_work.value, True
        try:
            if self._used_in != os.getpid():
                self._used_in = os.getpid()
                at_end_of_child(partial(_end, ref(self)))
            self._is_used = True
            lost = self._recorder.lost_reports
            self._recorder.record(record)
            if self._recorder.lost_reports != lost:
                self._complain_of_room()
            self._sender.wake()
        except Exception:  # noqa: BLE001 - logging never raises
            self.handleError(record)
        finally:
            at_work.value = before

    def flush(self) -> None:
        """Mail what was recorded until now. Waits for `timeout` seconds at most."""
        if self._is_used:
            self._is_late = not self._sender.flush(self.timeout)

    def close(self) -> None:
        """Flush, and end the thread. A later record starts it again.

        Does not wait a second time if `flush` was in vain.
        """
        if self._is_used:
            self._sender.flush(0.0 if self._is_late else self.timeout, last=True)
            if isinstance(self._source, Memory) and (left := self._left(self._source)):
                self._complain(f"{left:,} records were not mailed")
            self._is_used = self._is_late = False
        super().close()

    def _left(self, source: Memory) -> int:
        """How many records are in no mail, counted by the thread or not."""
        waiting, _ = aggregate(source.waiting, time.time())
        counted = self._dispatcher.groups.unmailed
        return counted + self._recorder.owed + sum(each.count for each in waiting)

    def _capture(
        self,
        subject: Subject,
        context: Context,
        *,
        now: float,
        places: Places,
        origin: Origin,
        scrubber: Scrubber,
        fingerprint: str,
    ) -> Captured:
        """A report that has the formatted record as its message, and its subject."""
        assert isinstance(subject, logging.LogRecord)
        origin = Origin(host=host(), worker=str(os.getpid()))
        report, reading = capture(
            subject,
            context,
            now=now,
            places=places,
            origin=origin,
            scrubber=scrubber,
            fingerprint=fingerprint,
        )
        record = copy.copy(subject)
        if exception_of(subject) is not None:  # an earlier handler may have left its traceback
            is_ours = reading is not None and self._prints_tracebacks
            record.exc_text = printed(reading.exceptions) if reading and is_ours else None
        try:
            text, line = self.format(record), str(self.getSubject(record))
        except Exception:  # noqa: BLE001 - logging never raises
            self.handleError(subject)
            text, line = report.message, self.subject
        head, tail = text, ""
        if len(text) > 2 * _HALF:
            head, tail = text[: window(_HALF)], text[-window(_HALF) :]
        secrets = (reading.collector if reading else SecretCollector()).secrets
        clean = scrubber.clean([head, tail, line[: window(_SUBJECT)]], secrets=secrets)
        head, tail, line = map(plain, clean)
        if tail:
            left_out = len(text) - 2 * _HALF
            head = f"{head[:_HALF]}\n... {left_out:,} characters ...\n{tail[-_HALF:]}"
        message = head[: 2 * _HALF + 100]
        extra = ((SUBJECT, line[:_SUBJECT]),)
        return Captured(replace(report, exceptions=(), message=message, extra=extra), reading)

    @property
    def _prints_tracebacks(self) -> bool:
        """Whether tracebacks have the standard library's form, and not one of the formatter's."""
        kind = type(self.formatter) if self.formatter else logging.Formatter
        return kind.formatException is logging.Formatter.formatException

    def _complain_of_room(self) -> None:
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY
            self._complain("records find no room: their texts are lost, their counts are kept")

    def _complain(self, text: str) -> None:
        record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, (), None)
        try:
            raise DeliveryError(text)
        except DeliveryError:
            self.handleError(record)

    def _renew(self) -> None:
        self._source.renew()
        self._dispatcher.renew()


def _end(handler: "ref[QueuedSMTPHandler]") -> None:
    """What `logging.shutdown` does with a handler that still exists."""
    existing = handler()
    if existing is not None:
        existing.flush()
        existing.close()
