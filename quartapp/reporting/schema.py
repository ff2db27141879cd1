"""The tables in a database of reporting itself, which it makes and upgrades without anybody's help.

The table `error_schema` holds the version of the others. Where they exist without it, they belong
to the migrations of an application (Alembic), and are left to them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, inspect, select, text
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import is_sqlite
from quartapp.reporting.exceptions import NewerSchemaError
from quartapp.reporting.tables import ErrorGroup, metadata
from quartapp.reporting.upgrades import to_2

VERSION = 2
"""The version of the tables in `quartapp.reporting.tables`."""

STEPS: Mapping[int, Callable[[Any], None]] = {1: to_2}
"""What makes of the tables of a version those of the next, given Alembic's operations."""

_LOCK = 0x71756175  # the key of PostgreSQL's advisory lock

_schema = Table("error_schema", MetaData(), Column("version", Integer, nullable=False))


async def prepare(database: DatabaseEngine) -> None:
    """Make or upgrade the tables, unless they are migrated by others. Any process may call it.

    Several that do so at once do it once; a process that is killed has changed nothing. Raises
    NewerSchemaError, and the database's errors.
    """
    async with database.session(write=False) as session:
        if await version_of(session) in {VERSION, None} and await _has(
            session, ErrorGroup.__tablename__
        ):
            return
    async with database.begin() as session:
        if not is_sqlite(session):  # SQLite's write lock does the same
            await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await _upgrade(session)


async def _upgrade(session: AsyncSession) -> None:
    version = await version_of(session)
    connection = await session.connection()
    if version is None:
        if await _has(session, ErrorGroup.__tablename__):
            return
        await connection.run_sync(_schema.create)
        await connection.run_sync(metadata.create_all)
        await session.execute(_schema.insert().values(version=VERSION))
        return
    if version > VERSION:
        raise NewerSchemaError(
            f"the database of errors has version {version} of the tables, and this release of"
            f" quartapp knows {VERSION}: nothing is written to it; install the release that made it"
        )
    for step in range(version, VERSION):
        await connection.run_sync(_take, STEPS[step])
    if version < VERSION:
        await session.execute(_schema.update().values(version=VERSION))


def _take(connection: SyncConnection, step: Callable[[Any], None]) -> None:
    # Only here: a start that upgrades nothing does not load Alembic.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    step(Operations(MigrationContext.configure(connection)))


async def version_of(session: AsyncSession) -> int | None:
    """The version of the tables that reporting has made; None if it has made none."""
    if not await _has(session, _schema.name):
        return None
    return int((await session.execute(select(_schema.c.version))).scalar_one())


async def _has(session: AsyncSession, table: str) -> bool:
    def look(connection: SyncConnection) -> bool:
        return inspect(connection).has_table(table)

    return await (await session.connection()).run_sync(look)
