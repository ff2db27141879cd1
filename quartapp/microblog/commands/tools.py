"""What the commands share: settings, a database, and errors as one sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from quartapp.database import DatabaseEngine
from quartapp.database.errors import explain
from quartapp.microblog.config import ToolSettings, load_settings

T = TypeVar("T")


def with_database(work: Callable[[DatabaseEngine], Awaitable[T]]) -> T:
    """Run the work in a new event loop, with a new database, and return its result.

    Raises ConfigurationError, or ClickException if the database is unreachable or has no tables.
    """

    async def run() -> T:
        settings = load_settings(ToolSettings)
        database = DatabaseEngine(settings.database_url, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.dispose()

    try:
        return asyncio.run(run())
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(explain(error)) from error
