"""What shows errors: the list, and one of them as its mail does."""

import asyncio
import json
import os
import re
import shutil
import sys
import time
from datetime import UTC, datetime
from typing import Any
from unicodedata import east_asian_width

import click

from quartapp.mail.strings import one_line, plain
from quartapp.reporting.commands import keys
from quartapp.reporting.commands.group import errors, with_database, with_group
from quartapp.reporting.journal.losses import Losses, read_losses
from quartapp.reporting.mails.outbox import newest_report, summarize
from quartapp.reporting.mails.rendering import render
from quartapp.reporting.output import say
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries import groups as queries
from quartapp.reporting.queries.listing import (
    MAX_SEARCH,
    SORTS,
    STATES,
    Row,
    Wanted,
    list_page,
    state_of,
)
from quartapp.reporting.tables import TITLE_LENGTH, ErrorGroup

_EVERYTHING = 1_000_000
_PERIOD = re.compile(r"([0-9]{1,5})([mhd])", re.ASCII)
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_COLOURS = {
    "new": "red",
    "regressed": "red",
    "ongoing": "yellow",
    "resolved": "green",
    "muted": "bright_black",
}
_HEADER = f"{'ID':>6} {'STATE':<9} {'COUNT':>10}  {'LAST SEEN':<19}  ERROR"
_BEFORE_TITLE = len(_HEADER) - len("ERROR")
_FEWEST = 10
_AROUND = 4  # the header, the last line, and the next prompt


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    """A time as seconds since the epoch, also as "90m", "24h" or "7d" ago."""
    if value is None:
        return 0.0
    if period := _PERIOD.fullmatch(value.strip().lower()):
        return time.time() - int(period[1]) * _SECONDS[period[2]]
    try:
        given = datetime.fromisoformat(value)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter("expected 90m, 24h, 7d, or a time in UTC") from None


@errors.command("list")
@click.option("--state", type=click.Choice(list(STATES)), default="all", show_default=True)
@click.option("--release", default="", help="Those that have occurred in a release.")
@click.option("--host", default="", help="Those that have occurred on a host.")
@click.option("--environment", default="", help="Those that have occurred in an environment.")
@click.option("--since", callback=_since, help="Seen since: 90m, 24h, 7d, or a time in UTC.")
@click.option("--search", default="", help="What title, message, place or fingerprint contain.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="last", show_default=True)
@click.option("--limit", type=click.IntRange(1, _EVERYTHING), help="The errors of a page.")
@click.option("--page", "number", type=click.IntRange(1, 10_000), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_errors(
    state: str, release: str, host: str, environment: str, since: float, search: str, sort: str,
    limit: int | None, number: int, as_json: bool,
) -> None:  # fmt: skip
    """List the errors, the last one first.

    A page on a terminal has as many as fit; elsewhere the list has all of them, unless --limit is
    given.
    """
    is_shown = is_terminal()
    columns, lines = shutil.get_terminal_size()
    if limit is None:
        is_paged = is_shown and not as_json
        limit = max(lines - _AROUND, _FEWEST) if is_paged else _EVERYTHING
    tags = {"release": release, "host": host, "environment": environment}
    wanted = Wanted(state, sort, search[:MAX_SEARCH], since, tags)
    begin, size = (number - 1) * limit, min(number * limit, _EVERYTHING)

    async def work(pipeline: Pipeline) -> tuple[list[Row], bool, Losses]:
        losses = await asyncio.to_thread(read_losses, pipeline.journal.folder)
        found = await list_page(pipeline.database, wanted, time.time(), size=size)
        return list(found.rows[begin:]), found.after is not None, losses

    rows, is_more, losses = with_database(work)
    if losses.reports:
        click.echo(f"On this machine, {losses}.", err=True)
    if as_json:
        say(json.dumps([_summary(row) for row in rows]))
        return
    if not rows:
        say("There is no error here." if number > 1 else _nothing(wanted))
        return
    width = columns - _BEFORE_TITLE if is_shown else TITLE_LENGTH
    say(styled(_HEADER, bold=True))
    for row in rows:
        say(_line(row, max(width, _FEWEST)))
    if is_more and is_shown:
        say(f"More errors: --page {number + 1}")


@errors.command()
@keys.argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all samples.")
def show(key: str, as_json: bool) -> None:
    """Show ERROR with its last report, as its mail does."""

    async def work(pipeline: Pipeline) -> str:
        async with pipeline.database.session(write=False) as session:
            group = await keys.find(session, key)
            if as_json:
                samples = await queries.list_samples(session, group.id)
                reports = [json.loads(one.report) for one in samples]
                return json.dumps(_summary(group) | {"samples": reports})
            now = time.time()
            summary = await summarize(session, group, now)
            report = await newest_report(session, group)
        text = render("message.txt", alert=None, group=summary, report=report, link="")
        return plain(f"{group.id} #{summary.short} {state_of(group, now)}\n{text}").rstrip()

    say(with_group(work))


def is_terminal() -> bool:
    """Whether somebody reads what is written as it is."""
    return sys.stdout.isatty()


def styled(text: str, **style: Any) -> str:
    """A text in colour, on a terminal that wants it (https://no-color.org)."""
    is_plain = os.environ.get("NO_COLOR") or not is_terminal()  # noqa: TID251 not of the application
    return text if is_plain else click.style(text, **style)


def _line(row: Row, width: int) -> str:
    state = state_of(row, time.time())
    seen = row.last_seen.strftime("%Y-%m-%d %H:%M:%S")
    title = _fitted(one_line(row.title, TITLE_LENGTH), width)
    shown = styled(f"{state:<9}", fg=_COLOURS[state])
    return f"{row.id:>6} {shown} {row.count:>9,}x  {seen}  {title}"


def _fitted(text: str, width: int) -> str:
    """As much of a text as has room; some characters take two columns."""
    used = 0
    for place, character in enumerate(text):
        used += 2 if east_asian_width(character) in "WF" else 1
        if used > width:
            while used >= width and place:
                place -= 1
                used -= 2 if east_asian_width(text[place]) in "WF" else 1
            return f"{text[:place]}…"
    return text


def _nothing(wanted: Wanted) -> str:
    is_filtered = wanted != Wanted("all", wanted.sort, tags=dict.fromkeys(wanted.tags, ""))
    return "No error matches." if is_filtered else "No error has been recorded."


def _summary(group: ErrorGroup | Row) -> dict[str, object]:
    state = state_of(group, time.time())
    return {
        "id": group.id,
        "fingerprint": group.fingerprint,
        "title": group.title,
        "count": group.count,
        "first_seen": group.first_seen.isoformat(),
        "last_seen": group.last_seen.isoformat(),
        # as the first version of this JSON has it
        "state": state if state in {"resolved", "muted"} else "open",
    }
