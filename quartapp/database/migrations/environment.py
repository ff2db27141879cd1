"""The environment of migrations: an application's env.py calls `run`."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context, op
from alembic.util import CommandError
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from quartapp.database.engine import DatabaseEngine
from quartapp.database.migrations.locks import LOCK_TIMEOUT, WAIT, Waiting, limit_locks
from quartapp.database.types import UTCDateTime


def run(
    *more: MetaData,
    metadata: Sequence[MetaData] | None = None,
    database: Callable[[], DatabaseEngine] | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    wait: float = WAIT,
    **options: Any,
) -> None:
    """Run the migrations that a command of Alembic asks for. Call it in env.py.

    The tables are those of the application's `Database`, and `more`; `metadata` replaces them all.
    `options` are those of Alembic's `context.configure`; by default types are compared, and tables
    are altered in batches, which SQLite needs. `database` makes the engine for the command
    `alembic`; with `quart db` it is the application's. Loggers stay as they are.

    On PostgreSQL each migration is a transaction, on SQLite all are one, because its lock is the
    only one that keeps other processes away. A statement of PostgreSQL waits `lock_timeout` seconds
    for a table that others use, because requests queue behind it; then its migration is rolled
    back and tried again. After `wait` seconds of this, or of waiting for another process that
    migrates, the command fails.
    """
    attributes = context.config.attributes
    tables = [*(attributes.get("metadata", []) if metadata is None else metadata), *more]
    options = {
        "target_metadata": tables,
        "compare_type": True,
        "render_as_batch": True,
        "render_item": render_item,
        "on_version_apply": attributes.get("on_version_apply", ()),
        **options,
    }
    waiting = Waiting(wait, lock_timeout)
    connection: Connection | None = attributes.get("connection")
    if context.is_offline_mode():
        _offline(attributes.get("dialect_name") or _made(database).engine.dialect.name, options)
    elif connection is not None:
        _migrate(connection, options, waiting)
    else:
        asyncio.run(_online(_made(database), options, waiting))


@contextmanager
def outside_transaction() -> Iterator[None]:
    """Execute operations of a migration one by one on PostgreSQL, without a transaction.

    For CREATE INDEX CONCURRENTLY, and for filling a column in batches, which would otherwise lock
    each row until the end. What was executed stays when a later operation fails: give it a
    migration of its own that can be repeated. On SQLite it changes nothing, because the
    transaction keeps other processes from migrating.
    """
    migration = op.get_context()
    if migration.dialect.name == "postgresql":
        with migration.autocommit_block():
            yield
    else:
        yield


def render_item(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's, so that a migration does not depend on later code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


async def run_sync(database: DatabaseEngine, work: Callable[[Connection], Any]) -> None:
    """Call `work` with a connection that keeps the rows which refer to a table that is recreated.

    SQLite alters a table by making a new one; it would delete rows that refer to the old one.
    """
    async with database.connect() as connection:
        enforced = await _foreign_keys(connection, "OFF") if database.is_sqlite else False
        try:
            await connection.run_sync(work)
            await connection.commit()
        finally:
            if enforced:
                await connection.rollback()
                await _foreign_keys(connection, "ON")


async def _foreign_keys(connection: AsyncConnection, value: str) -> bool:
    """Set the pragma, which has no effect in a transaction; returns whether it was on."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with driver.execute("PRAGMA foreign_keys") as found:
        [before] = await found.fetchone()
    async with driver.execute(f"PRAGMA foreign_keys = {value}"):
        return bool(before)


def _made(database: Callable[[], DatabaseEngine] | None) -> DatabaseEngine:
    if database is None:
        raise CommandError("these migrations are run by 'quart --app APP db', not by 'alembic'")
    return database()


def _offline(dialect: str, options: dict[str, Any]) -> None:
    context.configure(dialect_name=dialect, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()


async def _online(database: DatabaseEngine, options: dict[str, Any], waiting: Waiting) -> None:
    try:
        await run_sync(database, lambda connection: _migrate(connection, options, waiting))
    finally:
        await database.dispose()


def _migrate(connection: Connection, options: dict[str, Any], waiting: Waiting) -> None:
    if connection.dialect.name == "postgresql":
        options = {"transaction_per_migration": True, **options}
        limit_locks(connection, waiting.lock_timeout)
    else:
        # It is, as the driver begins transactions explicitly.
        options = {"transactional_ddl": True, **options}
    if not _changes_tables():
        _run(connection, options)
        return
    with waiting.alone(connection):
        waiting.retry(connection, lambda: _run(connection, options))


def _changes_tables() -> bool:
    """Whether the command is an upgrade, a downgrade or a stamp."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _run(connection: Connection, options: dict[str, Any]) -> None:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        before = _broken(connection)
        context.run_migrations()
        if broken := _broken(connection) - before:
            raise CommandError(f"rows point to nothing after the migration: {sorted(broken)[:5]}")


def _broken(connection: Connection) -> set[tuple[str, ...]]:
    """Rows of SQLite whose foreign keys point to nothing."""
    if connection.dialect.name != "sqlite":
        return set()
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return {tuple(map(str, row)) for row in rows}
