"""Errors of this part, and database errors as one sentence for a person who runs a command.

sqlalchemy.exc.TimeoutError      no connection became free in time
├── DatabaseQueueFullError       too many requests wait for a connection already
├── DatabaseLockedError          another process kept SQLite locked
├── DatabaseUnreachableError     no connection to PostgreSQL can be opened now
└── StatementTimeoutError        a statement was ended by its limit or the server, or got no answer

The last three are `OperationalError`s as well, as they would be without this part.

sqlalchemy.exc.InvalidRequestError
└── SharedSessionError           two tasks used one session at a time
"""

import re

from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError


class DatabaseQueueFullError(DatabaseTimeoutError):
    """So many requests wait for a connection that another one would wait in vain."""


class DatabaseLockedError(OperationalError, DatabaseTimeoutError):
    """SQLite stayed locked for longer than a writer waits."""


class DatabaseUnreachableError(OperationalError, DatabaseTimeoutError, OSError):
    """PostgreSQL refuses connections, or does not answer: it restarts, or the network is away.

    An OSError too, as the driver's error is.
    """


class StatementTimeoutError(OperationalError, DatabaseTimeoutError):
    """A statement took longer than its limit, was cancelled in the server, or got no answer."""


class SharedSessionError(InvalidRequestError):
    """Two tasks used one session at a time."""


_NO_TABLE = re.compile(r'no such table|relation ".*" does not exist')
_UNKNOWN_POOLER = re.compile(
    r"unsupported startup parameter|prepared statement .* (?:does not exist|already exists)"
)
_NO_COLUMN = re.compile(r"no such column|column .* does not exist")


def is_of_database(error: BaseException) -> bool:
    """Whether an error says that the database is unreachable or cannot be used."""
    return isinstance(error, SQLAlchemyError | OSError)


def lacks_table(error: BaseException) -> bool:
    """Whether an error says that a table does not exist: it was not migrated yet."""
    return isinstance(error, DBAPIError) and bool(_NO_TABLE.search(str(error.orig)))


def lacks_column(error: BaseException) -> bool:
    """Whether an error says that a column does not exist, as before a migration."""
    return isinstance(error, DBAPIError) and bool(_NO_COLUMN.search(str(error.orig)))


POOLER = (
    "A connection pooler such as PgBouncer is between this application and PostgreSQL: set"
    " DATABASE_POOLER=true if it works in transaction mode."
)


def is_of_pooler(error: BaseException) -> bool:
    """Whether an error is one that a pooler in transaction mode causes without DATABASE_POOLER."""
    return isinstance(error, DBAPIError) and bool(_UNKNOWN_POOLER.search(str(error.orig)))


def explain(error: BaseException) -> str:
    """The sentence, which contains no statement, parameters or details of a driver."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    what = re.sub(r"^<class '[\w.]+'>: ", "", str(cause).partition("\n")[0])
    if _NO_TABLE.search(what):
        return "The database has no such table: run 'quartapp db upgrade' first."
    if is_of_pooler(error):
        return POOLER
    if isinstance(error, OSError):
        return f"The database does not answer: {what or type(cause).__name__}"
    return f"The database cannot be used: {what}"
