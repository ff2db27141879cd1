"""The group of commands, and running one of them with the reporting of an application."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from quart.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from quartapp.reporting.exceptions import (
    DecisionError,
    GroupNotFoundError,
    NewerSchemaError,
    sentence,
)
from quartapp.reporting.output import Commands
from quartapp.reporting.pipeline import UNMADE, Pipeline

T = TypeVar("T")


@click.group(cls=Commands)
def errors() -> None:
    """Manage errors: list, show, resolve, mute, comment, release, test, doctor, prune.

    ERROR is the number of an error, a reference, or at least four digits of its fingerprint.
    """


def with_group(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    try:
        return with_database(work)
    except (DecisionError, GroupNotFoundError) as error:
        raise click.ClickException(str(error)) from error


def with_database(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    async def run(pipeline: Pipeline) -> T:
        if pipeline.is_unmade:
            raise click.ClickException(f"{pipeline.database.address} {UNMADE}.")
        await pipeline.prepare()
        return await work(pipeline)

    try:
        return with_pipeline(run)
    except (SQLAlchemyError, OSError, NewerSchemaError) as error:
        raise click.ClickException(sentence(error)) from error


def with_pipeline(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    pipeline = _load_pipeline(click.get_current_context().ensure_object(ScriptInfo))

    async def run() -> T:
        try:
            return await work(pipeline)
        finally:
            pipeline.journal.close()
            await pipeline.database.dispose()

    return asyncio.run(run())


def _load_pipeline(info: ScriptInfo) -> Pipeline:
    app = info.load_app()
    pipeline: Pipeline | None = app.extensions.get("reporting")
    if pipeline is None:
        raise click.ClickException(
            f"The application {app.name!r} has no reporting of errors. Install it there with"
            " 'from quartapp.reporting import Reporting' and 'Reporting(app)'."
        )
    return pipeline
