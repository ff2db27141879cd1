"""What the address of a list asks for. What it cannot mean is a 400 that says so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from quart import request
from werkzeug.exceptions import BadRequest

from quartapp.database.types import MAX_ID, is_storable
from quartapp.inbox.text import one_line
from quartapp.reporting.queries.listing import (
    MAX_SEARCH,
    SORTS,
    STATES,
    TAGS,
    Position,
    Wanted,
)
from quartapp.reporting.tables import TITLE_LENGTH

PERIODS: Mapping[str, float] = {"1h": 3600, "24h": 86400, "7d": 7 * 86400, "30d": 30 * 86400}
"""Within which time a group has occurred: the values of `since`."""

ACTS = ("resolve", "mute", "reopen")
"""What can be done to several errors at once."""

_POSITION = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)
_MAX_MICROSECONDS = 253_402_300_799_000_000
"""The end of the year 9999, beyond which there is no datetime."""

_FILTERS = ("q", "state", "sort", "since", *TAGS)
_KNOWN = frozenset({*_FILTERS, "after", "before", "did", "changed", "left"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A list that is asked for. `parameters` are the filters of its address, without defaults."""

    wanted: Wanted
    after: Position | None
    before: Position | None
    parameters: Mapping[str, str]

    @property
    def since(self) -> str:
        """One of PERIODS, or ""."""
        return self.parameters.get("since", "")

    @property
    def is_filtered(self) -> bool:
        """Whether it leaves out groups for another reason than their state."""
        wanted = self.wanted
        return bool(wanted.search or wanted.since or any(wanted.tags.values()))


def asked(now: float) -> Asked:
    """What the current request asks for. Raises BadRequest."""
    values = request.args.to_dict()  # the first of each
    for name in values.keys() - _KNOWN:
        _refuse(f"A list has no parameter {_quoted(name)}.")
    state = _choice(values, "state", STATES) or "open"
    sort = _choice(values, "sort", SORTS) or "last"
    since = _choice(values, "since", PERIODS)
    tags = {name: _text(values, name, TITLE_LENGTH) for name in TAGS}
    wanted = Wanted(
        state=state,
        sort=sort,
        search=_text(values, "q", MAX_SEARCH),
        since=now - PERIODS[since] if since else 0.0,
        tags=tags,
    )
    given = {"q": wanted.search, "state": state, "sort": sort, "since": since, **tags}
    defaults = {"state": "open", "sort": "last"}
    parameters = {
        name: value for name, value in given.items() if value and value != defaults.get(name)
    }
    after, before = _position(values, "after", sort), _position(values, "before", sort)
    if after and before:
        _refuse("A list has either 'after' or 'before'.")
    return Asked(wanted, after, before, parameters)


def done_before() -> tuple[str, int, int] | None:
    """The act that led to this list, how many errors it changed, and how many it left alone."""
    did = _choice(request.args, "did", ACTS)
    return (did, _number("changed"), _number("left")) if did else None


def _choice(
    values: Mapping[str, str], name: str, known: "Mapping[str, object] | tuple[str, ...]"
) -> str:
    value = values.get(name, "")
    if value and value not in known:
        _refuse(f"{_quoted(value)} is none of the values of '{name}': {', '.join(known)}.")
    return value


def _text(values: Mapping[str, str], name: str, longest: int) -> str:
    value = values.get(name, "").strip()
    if len(value) > longest:
        _refuse(
            f"The text of '{name}' is too long: at most {longest} characters, these are"
            f" {len(value):,}."
        )
    if not is_storable(value):
        _refuse(f"The text of '{name}' has characters that no error has: {_quoted(value)}.")
    return value


def _position(values: Mapping[str, str], name: str, sort: str) -> Position | None:
    value = values.get(name, "")
    if not value:
        return None
    found = _POSITION.fullmatch(value)
    position = Position(int(found[1]), int(found[2])) if found else None
    most = _MAX_MICROSECONDS if sort in {"last", "first"} else MAX_ID
    if position is None or position.value > most or position.id > MAX_ID:
        _refuse(f"No page begins at {_quoted(value)}.")
    return position


def _number(name: str) -> int:
    value = request.args.get(name, "0")
    if not (value.isascii() and value.isdecimal() and len(value) < 5):
        _refuse(f"{_quoted(value)} is not a number of errors.")
    return int(value)


def _quoted(text: str) -> str:
    return f"“{one_line(text, 40)}”"


def _refuse(text: str) -> NoReturn:
    raise BadRequest(text)
