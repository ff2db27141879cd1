"""Errors of this part, and database errors as one sentence for a person who runs a command.

sqlalchemy.exc.TimeoutError      no connection became free in time
├── DatabaseQueueFullError       too many requests wait for a connection already
├── DatabaseLockedError          another process kept SQLite locked
└── StatementTimeoutError        a statement was ended by its limit or the server, or got no answer

The last two are `OperationalError`s as well, as they would be without this part.
"""

import re

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError


class DatabaseQueueFullError(DatabaseTimeoutError):
    """So many requests wait for a connection that another one would wait in vain."""


class DatabaseLockedError(OperationalError, DatabaseTimeoutError):
    """SQLite stayed locked for longer than a writer waits."""


class StatementTimeoutError(OperationalError, DatabaseTimeoutError):
    """A statement took longer than its limit, was cancelled in the server, or got no answer."""


_NO_TABLE = re.compile(r'no such table|relation ".*" does not exist')


def is_of_database(error: BaseException) -> bool:
    """Whether an error says that the database is unreachable or cannot be used."""
    return isinstance(error, SQLAlchemyError | OSError)


def explain(error: BaseException) -> str:
    """The sentence, which contains no statement, parameters or details of a driver."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    what = re.sub(r"^<class '[\w.]+'>: ", "", str(cause).partition("\n")[0])
    if _NO_TABLE.search(what):
        return "The database has no such table: run 'alembic upgrade head' first."
    if isinstance(error, OSError):
        return f"The database does not answer: {what or type(error).__name__}"
    return f"The database cannot be used: {what}"
