"""Tracebacks for log files and terminals: light to make, and without secrets."""

import logging

from quartapp.reporting.places import Places
from quartapp.reporting.scrub import Scrubber


class ScrubbingFormatter(logging.Formatter):
    """A formatter whose messages and tracebacks pass the scrubber.

    Tracebacks look like Python's, with library frames folded and the driver's DETAIL and HINT
    lines, and SQL parameters, left out.
    """

    def __init__(self, fmt: str, *, places: Places, scrubber: Scrubber) -> None:
        raise NotImplementedError
