"""An empty PostgreSQL database for one proof."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

POSTGRESQL = os.environ.get("QUARTAPP_TEST_POSTGRESQL", "")


@asynccontextmanager
async def postgresql() -> AsyncIterator[URL]:
    """The address of a database, which is dropped afterwards even if it has connections."""
    admin = make_url(POSTGRESQL).set(drivername="postgresql+asyncpg")
    name = f"quartapp_{secrets.token_hex(6)}"
    engine = create_async_engine(admin, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield admin.set(database=name)
    finally:
        async with engine.connect() as connection:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        await engine.dispose()
