"""Commands for operators: `quart --app quartapp errors ...`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from quartapp.database.dialect import database_now
from quartapp.database.errors import explain, is_of_database
from quartapp.mail.strings import one_line, plain
from quartapp.reporting import queries
from quartapp.reporting.checks.doctor import examine
from quartapp.reporting.checks.selftest import follow
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.journal.losses import Losses, read_losses
from quartapp.reporting.output import Commands, say
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import TITLE_LENGTH, ErrorGroup
from quartapp.settings import ConfigurationError

T = TypeVar("T")
_EVERYTHING = 1_000_000
_GROUP_ID = click.IntRange(min=1, max=2**63 - 1)
_TIMES = click.IntRange(min=1, max=2**31 - 1)
_HOURS = click.FloatRange(min=0, min_open=True, max=24 * 36_500)
_DAYS = click.IntRange(min=1, max=36_500)


@click.group(cls=Commands)
def errors() -> None:
    """Manage errors: list, show, resolve, mute, test, doctor, prune."""


def error_commands(open_pipeline: Callable[[], Pipeline]) -> click.Group:
    """The group `errors`, for the application whose pipeline `open_pipeline` makes.

    `open_pipeline` may raise ConfigurationError, and OSError for the folder of an SQLite file.
    """
    settings = {"obj": open_pipeline}
    return Commands("errors", commands=errors.commands, help=errors.help, context_settings=settings)


def _number(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse "nan", which no range does."""
    if value != value:
        raise click.BadParameter("expected a number")
    return value


@errors.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of all groups.")
def list_errors(as_json: bool) -> None:
    """List the errors, the last one first."""

    async def work(pipeline: Pipeline) -> tuple[list[dict[str, object]], Losses]:
        losses = await asyncio.to_thread(read_losses, pipeline.journal.folder)
        async with pipeline.database.session(write=False) as session:
            groups = await queries.list_groups(session, limit=_EVERYTHING)
        return [_summary(group) for group in groups], losses

    groups, losses = _with_database(work)
    if losses.reports:
        click.echo(f"On this machine, {losses}.", err=True)
    if as_json:
        say(json.dumps(groups))
        return
    for group in groups:
        group["title"] = one_line(str(group["title"]), TITLE_LENGTH)
        say("{id:>6} {state:<8} {count:>9,}x {last_seen:.19}  {title}".format(**group))


@errors.command()
@click.argument("group_id", type=_GROUP_ID)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all samples.")
def show(group_id: int, as_json: bool) -> None:
    """Show one error with its last report."""

    async def work(pipeline: Pipeline) -> dict[str, object]:
        async with pipeline.database.session(write=False) as session:
            group = await queries.find_group(session, group_id)
            samples = await queries.list_samples(session, group_id)
            return _summary(group) | {"samples": [json.loads(one.report) for one in samples]}

    found = _with_group(work)
    if as_json:
        say(json.dumps(found))
        return
    samples = found.pop("samples")
    for name, value in found.items():
        say(plain(f"{name:<12} {value}"))
    if samples:
        say(plain(json.dumps(samples[0], indent=2, ensure_ascii=False)))  # type: ignore[index]  # a list


@errors.command()
@click.argument("group_id", type=_GROUP_ID)
def resolve(group_id: int) -> None:
    """Mark an error as fixed. If it comes back, a mail says so."""

    async def work(pipeline: Pipeline) -> None:
        async with pipeline.database.session() as session:
            await queries.find_group(session, group_id)
            await queries.resolve(session, group_id, await database_now(session))

    _with_group(work)
    say(f"{group_id} is resolved.")


@errors.command()
@click.argument("group_id", type=_GROUP_ID)
@click.option("--hours", type=_HOURS, callback=_number, help="For so many hours; default: forever.")
@click.option("--times", type=_TIMES, help="For so many more occurrences.")
def mute(group_id: int, hours: float | None, times: int | None) -> None:
    """Send no mail about an error."""

    async def work(pipeline: Pipeline) -> None:
        async with pipeline.database.session() as session:
            await queries.find_group(session, group_id)
            now = await database_now(session)
            until = now + hours * 3600 if hours is not None else float("inf")
            await queries.mute(session, group_id, until=until, more=times)

    _with_group(work)
    say(f"{group_id} is muted.")


@errors.command()
@click.option("--days", type=_DAYS, default=90, show_default=True)
def prune(days: int) -> None:
    """Delete errors that did not occur for so many days."""

    async def work(pipeline: Pipeline) -> int:
        async with pipeline.database.session() as session:
            now = datetime.fromtimestamp(await database_now(session), UTC)
            return await queries.prune(session, now - timedelta(days=days))

    say(f"{_with_database(work)} errors were deleted.")


@errors.command()
def test() -> None:
    """Record an error, count and mail it, and say where it is."""

    async def work(pipeline: Pipeline) -> None:
        async with aclosing(follow(pipeline)) as steps:
            async for step in steps:
                say(step)

    try:
        _with_pipeline(work)
    except (ConfigurationError, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        raise click.ClickException(f"it stopped here: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    if is_of_database(error):
        return explain(error)
    text = str(error).partition("\n")[0]
    return text if isinstance(error, RuntimeError) else f"{type(error).__name__}: {text}"


@errors.command()
def doctor() -> None:
    """Examine settings, server, journal, disk, database, outbox, mail server; exit code 1 if one
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

    if not _with_pipeline(work):
        raise SystemExit(1)


def _summary(group: ErrorGroup) -> dict[str, object]:
    return {
        "id": group.id,
        "fingerprint": group.fingerprint,
        "title": group.title,
        "count": group.count,
        "first_seen": group.first_seen.isoformat(),
        "last_seen": group.last_seen.isoformat(),
        "state": group.state,
    }


def _with_group(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    try:
        return _with_database(work)
    except GroupNotFoundError as error:
        raise click.ClickException(str(error)) from error


def _with_database(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    try:
        return _with_pipeline(work)
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(explain(error)) from error


def _with_pipeline(work: Callable[[Pipeline], Awaitable[T]]) -> T:
    open_pipeline: Callable[[], Pipeline] = click.get_current_context().obj

    async def run() -> T:
        try:
            pipeline = open_pipeline()
        except OSError as error:  # the folder of an SQLite file
            raise click.ClickException(explain(error)) from error
        try:
            return await work(pipeline)
        finally:
            pipeline.journal.close()
            await pipeline.database.dispose()

    return asyncio.run(run())
