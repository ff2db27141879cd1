"""The overview: what happens now, what is new, and whether reporting itself works.

A part that fails, such as a database that is away, is a line of the page.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from quart import Response

from quartapp.database.errors import is_of_database
from quartapp.inbox.charts import Series, bar_chart
from quartapp.inbox.pages import page
from quartapp.inbox.site import current_site
from quartapp.inbox.text import visible
from quartapp.reporting.checks.doctor import Finding, examine
from quartapp.reporting.exceptions import ReportingError, sentence
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries.listing import Row, Wanted, list_page, state_of
from quartapp.reporting.queries.overview import (
    MINUTES,
    Numbers,
    Responses,
    count_now,
    last_change,
    usual_rate,
)

_SHOWN = 5
_NEWEST = Wanted(state="all", sort="first")
_REGRESSED = Wanted(state="regressed")

_usual: WeakKeyDictionary[Pipeline, tuple[int, float | None]] = WeakKeyDictionary()
"""What is usual in an hour, by the number of that hour: it is asked once."""


@dataclass(frozen=True, slots=True)
class _Now:
    """What the database says; `trouble` is why it says nothing."""

    position: float = 0.0
    numbers: Numbers | None = None
    usual: float | None = None
    newest: Sequence[Row] = ()
    regressed: Sequence[Row] = ()
    trouble: str = ""


async def overview() -> Response:
    pipeline = current_site().pipeline
    now = time.time()
    found = await _ask(pipeline, now)
    findings = [finding async for finding in examine(pipeline, is_thorough=False)]
    numbers = found.numbers
    return await page(
        "overview.html",
        title="Overview",
        found=found,
        minutes=Series.until(now, 60, MINUTES, numbers.minutes if numbers else {}),
        findings=findings,
        live=_texts(found, findings),
        state_of=lambda row: state_of(row, now),
        bar_chart=bar_chart,
    )


async def live_texts(pipeline: Pipeline) -> dict[str, str]:
    """The texts of the overview that change while it is open, by their names in its template."""
    found = await _ask(pipeline, time.time())
    findings = [finding async for finding in examine(pipeline, is_thorough=False)]
    return {name: visible(text) for name, text in _texts(found, findings).items()}


async def _ask(pipeline: Pipeline, now: float) -> _Now:
    source = pipeline.database
    try:
        await pipeline.prepare()
        return _Now(
            await last_change(source),
            await count_now(source, now),
            await _usual_now(pipeline, now),
            (await list_page(source, _NEWEST, now, size=_SHOWN)).rows,
            (await list_page(source, _REGRESSED, now, size=_SHOWN)).rows,
        )
    except Exception as error:
        if not (is_of_database(error) or isinstance(error, ReportingError)):
            raise
        return _Now(trouble=sentence(error))


async def _usual_now(pipeline: Pipeline, now: float) -> float | None:
    hour = int(now // 3600)
    known = _usual.get(pipeline)
    if known is None or known[0] != hour:
        known = _usual[pipeline] = hour, await usual_rate(pipeline.database, now)
    return known[1]


def _texts(found: _Now, findings: Sequence[Finding]) -> dict[str, str]:
    texts = {f"{finding.part} text": finding.text for finding in findings}
    texts |= {
        f"{finding.part} state": "good" if finding.is_well else "look here" for finding in findings
    }
    numbers, usual = found.numbers, found.usual
    return texts | {
        "trouble": found.trouble,
        "rate": _rate(numbers.rate) if numbers else "unknown",
        "usual": "not known yet" if usual is None else _rate(usual),
        "share": _share(numbers.recent if numbers else None),
        "share of the hour": _share(numbers.hour if numbers else None),
    }


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _share(of: Responses | None) -> str:
    if of is None:
        return "unknown"
    if not of.responses:
        return "no responses"
    share = 100 * of.failures / of.responses
    return f"{share:.2f} %" if 0 < share < 10 else f"{share:.0f} %"
