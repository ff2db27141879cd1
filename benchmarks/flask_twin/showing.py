"""Dates and numbers as on quartapp's pages, for templates that call functions as the tutorial's."""

from calendar import month_name
from datetime import UTC, datetime
from typing import NamedTuple

from benchmarks.flask_twin.models import aware


class Moment(NamedTuple):
    text: str
    iso: str
    exact: str


def show_moment(moment: datetime) -> Moment:
    moment = aware(moment).astimezone(UTC)
    # strftime takes ten times as long; quartapp does not use it either.
    clock = f"{moment.hour:02}:{moment.minute:02} UTC"
    exact = f"{moment.day} {month_name[moment.month]} {moment.year}, {clock}"
    return Moment(_ago(moment), moment.isoformat(timespec="seconds"), exact)


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{plural(int(seconds // 60), 'minute')} ago"
    if seconds < 86400:
        return f"{plural(int(seconds // 3600), 'hour')} ago"
    if seconds < 7 * 86400:
        return f"{plural(int(seconds // 86400), 'day')} ago"
    return f"{moment.day} {moment:%b %Y}"
