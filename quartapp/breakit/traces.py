"""What came of a failure: its reports and log lines, kept in memory for the page of the failure."""

import logging
import os
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quart import Quart

if TYPE_CHECKING:
    from quartapp.reporting.report import Report

MAX_REPORTS = 10
MAX_LINES = 20


@dataclass
class Trace:
    """What was recorded and logged since a failure was last begun.

    It belongs to the request of the failure, or does not belong to any and came before the next
    failure. `lines` are those of WARNING and above, without tracebacks.
    """

    began: float = field(default_factory=time.time)
    ended: float = float("inf")
    reports: "deque[Report]" = field(default_factory=lambda: deque(maxlen=MAX_REPORTS))
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))


_current: ContextVar[Trace | None] = ContextVar("quartapp_break_trace", default=None)


class Traces(logging.Handler):
    """The last trace of each failure of one application."""

    def __init__(self, app: Quart) -> None:
        super().__init__(logging.WARNING)
        self._app = app
        self._latest: Trace | None = None
        self._of: dict[str, Trace] = {}
        app.after_serving(self._stop)
        if (pipeline := app.extensions.get("reporting")) is not None:
            pipeline.recorder.listeners.append(self._add_report)
            pipeline.recorder.places.include(os.path.dirname(__file__))

    def begin(self, name: str) -> None:
        """Call this before a failure happens, in the task of its request."""
        # Each time: the application may replace its handlers when it begins to serve.
        for logger in (logging.getLogger(), self._app.logger):
            logger.addHandler(self)
        trace = Trace()
        if self._latest is not None:
            self._latest.ended = trace.began
        self._latest = self._of[name] = trace
        _current.set(trace)

    async def _stop(self) -> None:
        for logger in (logging.getLogger(), self._app.logger):
            logger.removeHandler(self)

    def of(self, name: str) -> Trace | None:
        """What came of a failure; None if it did not happen in this process."""
        return self._of.get(name)

    def _trace(self) -> Trace | None:
        return _current.get() or self._latest

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line once, whichever of the two loggers hands it over first."""
        trace = self._trace()
        if trace is None or getattr(record, "is_traced", False):
            return
        record.is_traced = True
        try:
            line = f"{record.levelname} in {record.name}: {record.getMessage()}"
            trace.lines.append(line.partition("\n")[0])
        except Exception:  # noqa: BLE001  # logging never raises
            self.handleError(record)

    def _add_report(self, report: "Report") -> None:
        if (trace := self._trace()) is not None:
            trace.reports.append(report)
