"""What fails in the application's database, and leaves nothing there."""

from typing import cast

from sqlalchemy import Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database.dialect import is_sqlite
from quartapp.database.request import request_session


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "break_people"
    __table_args__ = {"prefixes": ["TEMPORARY"]}

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)


async def register_twice(username: str) -> None:
    """Register two people with one username, in a table that the rollback removes."""
    session = request_session()
    connection = await session.connection()
    await connection.run_sync(cast(Table, Person.__table__).create)
    session.add(Person(username=username))
    await session.flush()
    session.add(Person(username=username))
    await session.commit()


async def count_for_an_hour() -> None:
    """Execute a statement that its limit ends."""
    session = request_session()
    statement = "SELECT pg_sleep(3600)"
    if is_sqlite(session):
        statement = (
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)"
            " SELECT count(*) FROM numbers"
        )
    await session.execute(text(statement))
