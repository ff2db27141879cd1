"""The errors of reporting itself.

ReportingError
├── GroupNotFoundError      there is no such group of errors
├── ConflictError           the group is not as the operator saw it
├── DecisionError           what an operator asks for cannot be done so
├── DatabaseReplacedError   the file of the database is not the one that is open
└── NewerSchemaError        the tables of errors are those of a later release
"""

from collections.abc import Sequence
from typing import Any

from quartapp.database.errors import explain, is_of_database, lacks_column, lacks_table

_FOR_ALEMBIC = "Alembic's target_metadata needs quartapp.reporting.metadata."


class ReportingError(Exception):
    """Something that reporting was asked for cannot be done; the text says what."""


class GroupNotFoundError(ReportingError, LookupError):
    """There is no such group of errors."""


class ConflictError(ReportingError):
    """A group was changed since an operator saw it, by `acts` (of `ErrorAct`, the last first)."""

    def __init__(self, text: str, acts: Sequence[Any]) -> None:
        super().__init__(text)
        self.acts = acts


class DecisionError(ReportingError, ValueError):
    """What an operator asks for cannot be done in this form."""


class DatabaseReplacedError(ReportingError, OSError):
    """What is written now would be in a file that has no name any more."""


class NewerSchemaError(ReportingError):
    """The tables of errors are those of a later release, which nothing is written to."""


def sentence(error: BaseException) -> str:
    """Why errors cannot be counted or shown: a sentence without data, for operators."""
    if lacks_table(error):
        return f"{explain(error)} {_FOR_ALEMBIC}"
    if lacks_column(error):
        return f"{explain(error)} - a migration is pending, run 'quart db upgrade'."
    if isinstance(error, ReportingError | RuntimeError):
        return str(error).partition("\n")[0]
    return explain(error) if is_of_database(error) else brief(error)


def brief(error: BaseException) -> str:
    """The type and the first line of an error: further lines of a driver's text repeat data."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
