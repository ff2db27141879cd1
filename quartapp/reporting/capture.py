"""From an exception or a log record to a report, by a bounded walk."""

import logging

from quartapp.reporting.places import Places
from quartapp.reporting.report import Context, Origin, Report
from quartapp.reporting.scrub import Scrubber


def capture(
    subject: BaseException | logging.LogRecord,
    context: Context,
    *,
    now: float,
    places: Places,
    origin: Origin,
    scrubber: Scrubber,
    fingerprint: str | None = None,
) -> Report:
    """The scrubbed and bounded report of one error; some 0.2 ms.

    A log record with `exc_info` gives the report of its exception, with the record's message,
    logger and level beside it. Calls no `__repr__`, attribute or iterator of the application's
    objects. Never raises: what cannot be read is left out.
    `fingerprint` is taken instead of being made again.
    """
    raise NotImplementedError
