"""Statements that differ between SQLite and PostgreSQL, in chunks that delay no request."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession

ROWS = 20
"""Rows per statement. Preparing a statement and reading its result block the event loop for each
row. With 200 rows, counting 10,000 groups took two thirds of the time, but delayed requests."""

_Item = TypeVar("_Item")


async def database_now(session: AsyncSession) -> float:
    """Seconds since the epoch by the clock of the database, which all machines share."""
    if is_sqlite(session):
        expression = "(julianday('now') - 2440587.5) * 86400.0"
    else:
        expression = "extract(epoch from clock_timestamp())::float8"
    return float((await session.execute(text(f"SELECT {expression}"))).scalar_one())


def insert(table: Any, for_sqlite: bool) -> Any:
    """An INSERT of the database's dialect, which supports ON CONFLICT."""
    if for_sqlite:
        return sqlite.insert(table)
    # Imported here because it takes 60 ms; with PostgreSQL, its engine has imported it already.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def is_sqlite(session: AsyncSession) -> bool:
    """Whether the database of a session is SQLite; otherwise it is PostgreSQL."""
    return session.get_bind().dialect.name == "sqlite"


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in slices of at most ROWS, one for each statement."""
    for start in range(0, len(items), ROWS):
        yield items[start : start + ROWS]
