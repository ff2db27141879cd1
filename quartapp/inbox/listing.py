"""The list of errors: what an operator looks for, and what is done to several at once."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from quart import Response, redirect, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database.types import MAX_ID
from quartapp.inbox.acts import Made, carry_out
from quartapp.inbox.asked import ACTS, PERIODS, Asked, asked, done_before
from quartapp.inbox.charts import Series, sparkline
from quartapp.inbox.pages import page
from quartapp.inbox.site import current_site
from quartapp.inbox.store import database
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.groups import find_by_reference
from quartapp.reporting.queries.listing import (
    SIZE,
    SORTS,
    STATES,
    TAGS,
    Position,
    Row,
    choices,
    hours_of,
    list_page,
    state_of,
)
from quartapp.reporting.queries.overview import last_change
from quartapp.reporting.queries.triage import version_of
from quartapp.reporting.references import as_typed

_SELECTED = re.compile(r"([1-9][0-9]{0,18})\.([0-9]{1,10}-[0-9a-z]{1,16})", re.ASCII)

_PERIOD_NAMES = {
    "1h": "the last hour",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "30d": "the last 30 days",
}
_SORT_NAMES = {"last": "Last seen", "first": "First seen", "count": "Count", "people": "People"}
_DONE = {"resolve": "resolved", "mute": "muted", "reopen": "reopened"}
_MADE: Mapping[str, Made] = {
    "resolve": triage.resolve,
    "mute": lambda _: triage.mute(),
    "reopen": lambda _: triage.reopen(),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    row: Row
    state: str
    hours: tuple[int, ...]

    @property
    def key(self) -> str:
        """The group and its version, as the form sends them."""
        return f"{self.row.id}.{version_of(self.row)}"


async def errors() -> Response | WerkzeugResponse:
    """The list; or the page of the one error whose reference was searched for."""
    now = time.time()
    wanted = asked(now)
    source = await database()
    reference = as_typed(wanted.wanted.search)
    if reference is not None:
        with suppress(GroupNotFoundError):
            async with source.session(write=False) as session:
                group = await find_by_reference(session, reference)
            return redirect(current_site().error_url(group.id, reference=reference), 303)
    position = await last_change(source)  # before the rows are read
    found = await list_page(source, wanted.wanted, now, after=wanted.after, before=wanted.before)
    hours = await hours_of(source, [row.id for row in found.rows], now)
    lines = [
        Line(row, state_of(row, now), Series.until(now, 3600, 24, hours.get(row.id, {})).counts)
        for row in found.rows
    ]
    return await page(
        "list.html",
        title="Errors",
        lines=lines,
        position=position,
        asked=wanted,
        wanted=wanted.wanted,
        choices={name: await choices(source, name) for name in TAGS},
        states=STATES,
        periods={name: _PERIOD_NAMES[name] for name in PERIODS},
        sorts={name: _SORT_NAMES[name] for name in SORTS},
        newer=_turned(wanted, "before", found.before),
        older=_turned(wanted, "after", found.after),
        done=_sentence(done_before()),
        sparkline=sparkline,
        with_parameter=lambda **values: _address(wanted, **values),
    )


async def act_on_selected() -> WerkzeugResponse:
    """Resolve, mute or reopen what was selected, then show the list again."""
    wanted = asked(time.time())
    form = await request.form
    act = form.get("act", "")
    if act not in ACTS:
        raise BadRequest("The form does not say what to do: resolve, mute or reopen.")
    selected = dict(map(_parse, form.getlist("group")))
    if not selected:
        raise BadRequest("No error was selected. Go back, and tick the errors that you mean.")
    if len(selected) > SIZE:
        raise BadRequest(f"At most {SIZE} errors can be selected at once.")
    outcome = await carry_out(selected, _MADE[act])
    changed, left = len(outcome.done), len(outcome.conflicts) + len(outcome.missing)
    return redirect(_address(wanted, did=act, changed=str(changed), left=str(left)), 303)


def _parse(selected: str) -> tuple[int, str]:
    found = _SELECTED.fullmatch(selected)
    if found is None or int(found[1]) > MAX_ID:
        raise BadRequest("The form names an error that cannot exist.")
    return int(found[1]), found[2]


def _address(wanted: Asked, **values: str) -> str:
    """The address of the list with the same filters, except those that are given."""
    return current_site().url(
        "list", **{name: text for name, text in {**wanted.parameters, **values}.items() if text}
    )


def _turned(wanted: Asked, name: str, position: Position | None) -> str:
    if position is None:
        return ""
    return _address(wanted, **{name: f"{position.value}-{position.id}"})


def _sentence(done: tuple[str, int, int] | None) -> str:
    """What the form did, for the page after it."""
    if done is None:
        return ""
    act, changed, left = done
    text = f"{_number_of(changed)} {'was' if changed == 1 else 'were'} {_DONE[act]}."
    if left:
        text += f" {_number_of(left)} had been changed by somebody else meanwhile: look again."
    return text


def _number_of(errors: int) -> str:
    return f"{errors} error" if errors == 1 else f"{errors} errors"
