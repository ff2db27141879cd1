"""Looking after reporting itself: releases, what is old, tests."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from quartapp.database.dialect import database_now
from quartapp.mail.strings import moment, one_line
from quartapp.reporting import retention
from quartapp.reporting.checks.doctor import examine
from quartapp.reporting.checks.selftest import follow
from quartapp.reporting.commands.acts import time_of
from quartapp.reporting.commands.group import errors, with_database, with_pipeline
from quartapp.reporting.exceptions import NewerSchemaError, sentence
from quartapp.reporting.output import say
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries import releases
from quartapp.reporting.tables import TITLE_LENGTH, ErrorRelease
from quartapp.settings import ConfigurationError

_TIMES = click.IntRange(min=1, max=2**31 - 1)
_DAYS = click.IntRange(min=1, max=36_500)


@errors.command()
@click.option("--days", type=_DAYS, default=90, show_default=True)
def prune(days: int) -> None:
    """Delete errors that did not occur for so many days, and what else is too old."""

    async def work(pipeline: Pipeline) -> int:
        return await retention.prune(pipeline.database, pipeline.retention.keep, days)

    say(f"{with_database(work)} errors were deleted.")


@errors.command()
@click.option("--groups", type=click.IntRange(1, 100_000), default=10_000, show_default=True)
@click.option("--occurrences", type=_TIMES, default=10_000_000, show_default=True)
def demo(groups: int, occurrences: int) -> None:
    """Fill an empty database with a month of invented errors, to look around.

    Name one for it: ERRORS_DATABASE_URL=sqlite:///demo.db
    """
    from quartapp.reporting.demo import NotEmptyError, fill

    async def work(pipeline: Pipeline) -> None:
        await pipeline.prepare()
        async with aclosing(
            fill(pipeline.database, groups=groups, occurrences=max(groups, occurrences))
        ) as steps:
            async for step in steps:
                say(step)

    try:
        with_pipeline(work)
    except NotEmptyError as error:
        raise click.ClickException(str(error)) from error
    except (SQLAlchemyError, OSError, NewerSchemaError) as error:
        raise click.ClickException(sentence(error)) from error


def _release_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    if value is not None and (not value.strip() or not value.isprintable()):
        raise click.BadParameter("expected the name of a release, as in RELEASE")
    if value is not None and len(value) > TITLE_LENGTH:
        raise click.BadParameter(f"expected at most {TITLE_LENGTH} characters")
    return value


@errors.command()
@click.argument("name", required=False, callback=_release_name)
@click.option("--at", callback=time_of, help="When; in UTC without a zone. Default: now.")
def release(name: str | None, at: float | None) -> None:
    """Note that a release was deployed: a mark in the charts. Without NAME, list them.

    Twice is once: a known release keeps its time, unless --at gives another one.
    """

    async def note(pipeline: Pipeline) -> float:
        async with pipeline.database.begin() as session:
            now = await database_now(session)
            when = now if at is None else at
            return await releases.mark(
                session, str(name), when, who="errors release", again=at is not None
            )

    async def look(pipeline: Pipeline) -> Sequence[ErrorRelease]:
        async with pipeline.database.session(write=False) as session:
            return await releases.list_releases(session)

    if name is not None:
        say(f"{name} was deployed at {moment(with_database(note))}.")
        return
    if at is not None:
        raise click.UsageError("--at needs the NAME of a release.")
    found = with_database(look)
    for each in found:
        say(f"{moment(each.at)}  {one_line(each.name, TITLE_LENGTH)}")
    if not found:
        say("No release is known. Note one with: errors release NAME")


@errors.command()
def test() -> None:
    """Record an error, count and mail it, and say where it is."""

    async def work(pipeline: Pipeline) -> None:
        async with aclosing(follow(pipeline)) as steps:
            async for step in steps:
                say(step)

    try:
        with_pipeline(work)
    except (ConfigurationError, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        raise click.ClickException(f"it stopped here: {sentence(error)}") from error


@errors.command()
def doctor() -> None:
    """Examine settings, server, journal, disk, database, mails and webhooks; exit code 1 if one
    has a fault.

    The server is the one that runs here: what it uses, not what this command would.
    """

    async def work(pipeline: Pipeline) -> bool:
        is_well = True
        async with aclosing(examine(pipeline)) as findings:
            async for finding in findings:
                mark = "ok " if finding.is_well else "BAD"
                say(f"{mark} {finding.part}: {finding.text}")
                is_well = is_well and finding.is_well
        return is_well

    if not with_pipeline(work):
        raise SystemExit(1)
