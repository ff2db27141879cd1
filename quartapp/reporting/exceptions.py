"""The errors of reporting itself.

ReportingError
└── GroupNotFoundError      there is no such group of errors
"""


class ReportingError(Exception):
    """Something that reporting was asked for cannot be done; the text says what."""


class GroupNotFoundError(ReportingError, LookupError):
    """There is no such group of errors."""
