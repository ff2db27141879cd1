"""What operators decide, by commands. Each act has their login name in the trail."""

import getpass
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import click

from quartapp.database.dialect import database_now
from quartapp.mail.strings import one_line
from quartapp.reporting.commands import keys
from quartapp.reporting.commands.group import errors, with_group
from quartapp.reporting.output import say
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.triage import Decision

_TIMES = click.IntRange(min=1, max=2**31 - 1)
_HOURS = click.FloatRange(min=0, min_open=True, max=24 * 36_500)


def _number(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse "nan", which no range does."""
    if value != value:
        raise click.BadParameter("expected a number")
    return value


def time_of(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """A time as seconds since the epoch. One without a zone is in UTC."""
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a time such as 2026-11-28T21:00+01:00") from None


@errors.command()
@keys.argument
@click.option("--next", "in_next", is_flag=True, help="It is fixed in the next release.")
def resolve(key: str, in_next: bool) -> None:
    """Mark ERROR as fixed. If it comes back, a mail says so."""

    def made(pipeline: Pipeline, now: float) -> Decision:
        if in_next:
            return triage.resolve_in_next(pipeline.recorder.origin.release, now)
        return triage.resolve(now)

    say(f"{_act(key, made)} is resolved.")


@errors.command()
@keys.argument
def reopen(key: str) -> None:
    """End a resolution or a mute of ERROR."""
    say(f"{_act(key, _reopened)} is open.")


@errors.command()
@keys.argument
@click.option("--hours", type=_HOURS, callback=_number, help="For so many hours.")
@click.option("--until", callback=time_of, help="Until a time; in UTC without a zone.")
@click.option("--times", type=_TIMES, help="For so many more occurrences.")
@click.option("--rate", type=_TIMES, help="Until there are more within an hour.")
@click.option("--again", is_flag=True, help="Until it happens again.")
def mute(
    key: str, hours: float | None, until: float | None, times: int | None, rate: int | None,
    again: bool,
) -> None:  # fmt: skip
    """Send no mail about ERROR: forever, or until the first of what the options say."""
    if hours is not None and until is not None:
        raise click.UsageError("--hours and --until are two times.")
    if sum((times is not None, rate is not None, again)) > 1:
        raise click.UsageError("Only one of --times, --rate and --again can be given.")

    def made(_: Pipeline, now: float) -> Decision:
        end = until if hours is None else now + hours * 3600
        if end is not None and end <= now:
            raise click.BadParameter("the time is over already", param_hint="'--until'")
        return triage.mute(until=end, more=0 if again else times, rate=rate)

    say(f"{_act(key, made)} is muted.")


@errors.command()
@keys.argument
def unmute(key: str) -> None:
    """End a mute of ERROR."""
    say(f"{_act(key, _reopened, state='muted')} is no longer muted.")


@errors.command()
@keys.argument
@click.argument("text")
def comment(key: str, text: str) -> None:
    """Write TEXT about ERROR, for the next one who looks; "-" reads it from standard input."""
    if text == "-":
        text = sys.stdin.read(triage.LONGEST_COMMENT * 2)
    say(f"{_act(key, lambda _, __: triage.comment(text))} has your comment.")


@errors.command()
@keys.argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(key: str, yes: bool) -> None:
    """Delete ERROR with all that belongs to it. If it occurs again, it is a new one."""

    async def look(pipeline: Pipeline) -> tuple[int, str, int]:
        async with pipeline.database.session(write=False) as session:
            group = await keys.find(session, key)
            return group.id, one_line(group.title), group.count

    async def work(pipeline: Pipeline) -> None:
        async with pipeline.database.begin() as session:
            await triage.delete(session, group_id)

    group_id, title, count = with_group(look)
    if not yes:
        click.confirm(f"Delete {group_id}, {title!r} with {count:,} occurrences?", abort=True)
    with_group(work)
    say(f"{group_id} is deleted.")


def _reopened(_: Pipeline, __: float) -> Decision:
    return triage.reopen()


def _act(key: str, made: Callable[[Pipeline, float], Decision], *, state: str = "") -> int:
    """Carry out a decision; with `state`, only about an error in that state. Returns its id."""

    async def work(pipeline: Pipeline) -> int:
        async with pipeline.database.begin() as session:
            group = await keys.find(session, key)
            now = await database_now(session)
            if state and state_of(group, now) != state:
                raise click.ClickException(f"{group.id} is not {state}.")
            decision = made(pipeline, now)
            await triage.decide(session, group.id, decision, who=_login_name(), now=now)
            return group.id

    return with_group(work)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # nobody has told the system, as in a container
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "somebody"
