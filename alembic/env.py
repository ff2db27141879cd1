"""Alembic's environment: it reaches the database through the settings of the application.

A caller in Python may set `config.attributes["database_url"]`; the command line reads the
environment as the application does. It runs an event loop, so do not call it within one.
"""

import asyncio
import sys
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from sqlalchemy import event
from sqlalchemy.engine import Connection

from quartapp.database import Database
from quartapp.database.types import UTCDateTime
from quartapp.microblog.config import ToolSettings, load_settings
from quartapp.microblog.models import Base
from quartapp.reporting import tables
from quartapp.settings import ConfigurationError

METADATA = [Base.metadata, tables.metadata]

config = context.config
if config.config_file_name is not None and config.cmd_opts is not None:
    # Only for the command line, and without disabling existing loggers.
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def database_url() -> str:
    url = config.attributes.get("database_url")
    if url is None:
        try:
            url = load_settings(ToolSettings).database_url
        except ConfigurationError as error:
            sys.exit(f"alembic: {error}")
    return str(url)


def render_item(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's, so that a migration does not depend on later code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run_offline() -> None:
    context.configure(
        url=database_url().replace("+aiosqlite", "").replace("+asyncpg", ""),
        target_metadata=METADATA,
        literal_binds=True,
        render_as_batch=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,  # SQLite alters a table by recreating it
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                sys.exit(f"alembic: rows point to nothing after the migration: {broken[:5]}")


async def run_online() -> None:
    database = Database(database_url())
    if database.is_sqlite:
        # A table that is recreated is dropped first, which would delete rows that refer to it.
        @event.listens_for(database.engine.sync_engine, "connect")
        def keep_rows(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA foreign_keys = OFF")

    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
    finally:
        await database.dispose()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online())
