"""The errors of reporting itself.

ReportingError
├── GroupNotFoundError      there is no such group of errors
└── DatabaseReplacedError   the file of the database is not the one that is open
"""


class ReportingError(Exception):
    """Something that reporting was asked for cannot be done; the text says what."""


class GroupNotFoundError(ReportingError, LookupError):
    """There is no such group of errors."""


class DatabaseReplacedError(ReportingError, OSError):
    """What is written now would be in a file that has no name any more."""
