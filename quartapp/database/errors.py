"""Database errors as one sentence, for a person who runs a command."""

import re

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

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
