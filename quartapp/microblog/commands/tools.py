"""What every command does around its work: settings, a database, errors as one sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from quartapp.database import Database
from quartapp.database.errors import explain
from quartapp.microblog.config import ToolSettings, load_settings

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run the work with a database of its own, in a loop of its own, and return its result.

    Raises ConfigurationError, or ClickException for a database that is away or has no tables.
    """

    async def run() -> T:
        settings = load_settings(ToolSettings)
        database = Database(settings.database_url, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.dispose()

    try:
        return asyncio.run(run())
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(explain(error)) from error
