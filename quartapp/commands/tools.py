"""What every command does around its work: settings, a database, errors as one sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from quartapp.config import ToolSettings, load_settings
from quartapp.database import Database

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
    except (OperationalError, ProgrammingError) as error:
        raise click.ClickException(_explain(error)) from error
    except OSError as error:
        raise click.ClickException(f"The database does not answer: {error}") from error


def _explain(error: DBAPIError) -> str:
    what = str(error.orig).partition("\n")[0]
    if "no such table" in what or "does not exist" in what:
        return "The database has no such table: run 'alembic upgrade head' first."
    return f"The database does not answer: {what}"
