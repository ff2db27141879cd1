"""One error: its page, and the same as JSON and as Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import time
from typing import Any

from quart import Response, request

from quartapp.database import Source
from quartapp.inbox import charts, one_view
from quartapp.inbox.one_markdown import render_markdown
from quartapp.inbox.pages import page
from quartapp.inbox.store import database
from quartapp.inbox.text import one_line
from quartapp.mail.strings import moment
from quartapp.reporting.mails.summary import message_of, relation
from quartapp.reporting.queries import detail as queries
from quartapp.reporting.queries.detail import Detail, Group, SampleName
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.triage import version_of
from quartapp.reporting.report import Report


@dataclass(frozen=True, slots=True)
class Shown:
    """The sample that is shown: `report` is None if it cannot be read, for the reason in `fault`.

    `note` says why it is not the one that was asked for.
    """

    sample: SampleName | None = None
    stored: str = ""
    report: Report | None = None
    fault: str = ""
    note: str = ""


async def one(group_id: int) -> Response:
    source, now = await database(), time()
    found = await queries.read_detail(source, group_id, now)
    group, marks = found.group, one_view.marks(found)
    shown = await _shown(source, group, found.samples)
    return await page(
        "one.html",
        title=group.title,
        group=group,
        detail=found,
        now=now,
        state=state_of(group, now),
        decision=one_view.decision(group, now),
        places=one_view.places(found),
        shown=shown,
        report=shown.report,
        pager=one_view.pager(found.samples, shown.sample) if shown.sample else None,
        letters=one_view.letters(found),
        charts=[
            (
                name,
                series,
                charts.bar_chart(series, marks=marks),
                [mark for mark in marks if series.start <= mark.at < series.end],
            )
            for name, series in one_view.charts(found, now)
        ],
        message=message_of(shown.report) if shown.report else group.message,
        moment=moment,
        view=one_view,
        relation=relation,
    )


async def as_markdown(group_id: int) -> Response:
    source, now = await database(), time()
    group = await queries.find(source, group_id)
    shown = await _shown(source, group, await queries.list_samples(source, group_id))
    text = render_markdown(group, shown.report, state_of(group, now))
    return Response(text, content_type="text/markdown; charset=utf-8")


async def as_json(group_id: int) -> Response:
    return Response(await json_text(group_id), content_type="application/json")


async def json_text(group_id: int) -> str:
    """All about an error as JSON. Raises GroupNotFoundError, and the database's errors."""
    source, now = await database(), time()
    found = await queries.read_detail(source, group_id, now)
    shown = await _shown(source, found.group, found.samples)
    return json.dumps(_document(found, shown, state_of(found.group, now)), default=_plain)


async def _shown(source: Source, group: Group, samples: Sequence[SampleName]) -> Shown:
    """The sample that the query asks for; otherwise the newest."""
    reference, number = request.args.get("reference", ""), request.args.get("sample", "")
    if not samples:
        return Shown()
    asked = [
        sample
        for sample in samples
        if (reference and sample.reference == reference) or str(sample.id) == number
    ]
    sample, note = (asked or samples)[-1], ""
    if reference and not asked:
        sample, note = await _nearest(source, group, samples, reference)
    elif number and not asked:
        note = "The sample of this address is no longer kept. This is the newest one."
    stored = await queries.read_report(source, sample.id)
    if stored is None:
        return Shown(sample, fault="This sample was deleted a moment ago.", note=note)
    try:
        return Shown(sample, stored, Report.from_json(stored), note=note)
    except ValueError:
        fault = (
            "The report of this occurrence cannot be read: another version has written it, or it is"
            " damaged. What is counted and what operators did is shown all the same."
        )
        return Shown(sample, fault=fault, note=note)


async def _nearest(
    source: Source, group: Group, samples: Sequence[SampleName], reference: str
) -> tuple[SampleName, str]:
    """The sample that is nearest in time to an occurrence that was only counted, and a note."""
    name = one_line(reference, 64)
    at = await queries.seen_at(source, group.id, reference)
    if at is None:
        return samples[-1], (
            f"No occurrence of this error has the reference {name}, or it is no longer kept. This"
            " is the newest one."
        )
    nearest = min(samples, key=lambda sample: abs(sample.seen_at.timestamp() - at))
    return nearest, (
        f"The occurrence {name} was counted at {moment(at)}, without a report of its own."
        " This is the report that is nearest in time."
    )


def _document(found: Detail, shown: Shown, state: str) -> dict[str, Any]:
    """See docs/inbox.md."""
    group = asdict(found.group)
    return {
        **group,
        "state": state,
        "version": version_of(found.group),
        "tags": [tag._asdict() for tag in found.tags],
        "minutes": _by_time(found.minutes, 60),
        "hours": _by_time(found.hours, 3600),
        "samples": [sample._asdict() for sample in reversed(found.samples)],
        "sample": shown.sample.id if shown.sample else None,
        "report": json.loads(shown.stored) if shown.report else None,
        "mails": [asdict(message) for message in found.mails],
        "webhooks": [asdict(message) for message in found.webhooks],
        "acts": [act._asdict() for act in found.acts],
        "feedback": [written._asdict() for written in found.written],
        "similar": [asdict(similar) for similar in found.similar],
    }


def _by_time(counts: Mapping[int, int], step: int) -> dict[str, int]:
    return {
        datetime.fromtimestamp(number * step, UTC).isoformat(): counts[number]
        for number in sorted(counts)
    }


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"not a value of JSON: {type(value)}")
