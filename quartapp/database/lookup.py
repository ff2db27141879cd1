"""Rows that an address names: each is found, or the response is 404 Not Found."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from quartapp.database.source import Session
from quartapp.database.types import is_storable

T = TypeVar("T")

_OUT_OF_RANGE = "value out of int"
"""In the error of asyncpg for a number that the type of a column cannot hold."""


async def find_by_key(
    session: Session, entity: type[T], key: Any, options: dict[str, Any]
) -> T | None:
    """As `session.get`; None also for a key that no row can have."""
    parts = key.values() if isinstance(key, dict) else key
    parts = parts if isinstance(parts, Iterable) and not isinstance(parts, str) else [parts]
    if any(isinstance(part, str) and not is_storable(part) for part in parts):
        return None
    with _none_if_impossible():
        return await session.get(entity, key, **options)
    return None


async def find_first(session: Session, statement: Select[Any]) -> Any:
    """The first result, or None."""
    with _none_if_impossible():
        return await session.scalar(statement)
    return None


async def find_one(session: Session, statement: Select[Any]) -> Any:
    """The only result; None if there is none or there are several."""
    with _none_if_impossible():
        try:
            return (await session.execute(statement)).scalar_one()
        except (NoResultFound, MultipleResultsFound):
            return None
    return None


@contextmanager
def _none_if_impossible() -> Iterator[None]:
    """Swallow the error of a driver for a number that is too large for it or for a column.

    The drivers find that before they send anything, so the transaction goes on.
    """
    try:
        yield
    except OverflowError:  # sqlite3's
        pass
    except DBAPIError as error:
        if _OUT_OF_RANGE not in str(error.orig):
            raise
