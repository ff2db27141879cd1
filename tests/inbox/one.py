"""A group with everything that the page of one error shows; each text may be chosen."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from quart import Quart

from quartapp.breadcrumbs import Breadcrumb
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.report import Origin, Report, RequestInfo
from quartapp.reporting.tables import (
    ErrorAct,
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorHour,
    ErrorMinute,
    ErrorRelease,
    ErrorSample,
    ErrorTag,
)

LIBRARY = Frame("quart/app.py", "", "Quart.full_dispatch_request", 1598)
VIEW = Frame(
    "shop/orders.py",
    "shop.orders",
    "Orders.pay",
    41,
    True,
    39,
    ("    async def pay(self, card):", "", "        return rates[card.country] * self.total", ""),
    (("card", "Card(country='NZ')"), ("password", "[hidden]")),
)
REPORT = Report(
    id="1",
    fingerprint="a887c0de-1",
    time=1_790_000_000.0,
    title="KeyError in orders.Orders.pay",
    culprit="orders.Orders.pay",
    exceptions=(
        ExceptionInfo(
            "KeyError", "'NZ'", "", (LIBRARY, LIBRARY, VIEW), 0, ("a note",), ((2, 15, 34),)
        ),
        ExceptionInfo("shop.rates.NoRate", "none today", "cause", (LIBRARY,), 3),
    ),
    request=RequestInfo(
        "POST", "http://shop/pay/7", "/pay/<int:id>", "orders.pay", (("user-agent", "curl"),)
    ),
    user_id="27",
    reference="abcdefgh",
    extra=(("basket", "[1, 2]"),),
    trace="4bf92f3577b34da6a3ce929d0e0e4736",
    breadcrumbs=(
        Breadcrumb("log", 0.0012, "paying order 7", "INFO", "shop.orders"),
        Breadcrumb("sql", 0.0153, "SELECT country FROM cards WHERE id = ?", took=0.0021, rows=1),
    ),
    origin=Origin("production", "v1.2", "web1", "pid 7", {"python": "3.11.7"}),
)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def group_of(report: Report, **values: Any) -> ErrorGroup:
    """The row of a report's group, which occurred 1,234 times until just now."""
    now = time.time()
    known: dict[str, Any] = {
        "fingerprint": report.fingerprint,
        "title": report.title,
        "culprit": report.culprit,
        "count": 1234,
        "people": 3,
        "first_seen": _at(now - 9 * 86400),
        "last_seen": _at(now - 60),
        "message": "'NZ'",
    }
    return ErrorGroup(**(known | values))


def sample_of(recorded: Report, group_id: int, ago: float = 60.0, **values: Any) -> ErrorSample:
    """The row of a report that was recorded some seconds ago."""
    known: dict[str, Any] = {
        "group_id": group_id,
        "report_id": recorded.id,
        "reference": recorded.reference,
        "release": recorded.origin.release[:200],
        "host": recorded.origin.host[:64],
        "seen_at": _at(time.time() - ago),
        "report": recorded.to_json(),
    }
    return ErrorSample(**(known | values))


async def store(app: Quart, *rows: object) -> None:
    pipeline: Pipeline = app.extensions["reporting"]
    await pipeline.prepare()
    async with pipeline.database.begin() as session:
        session.add_all(rows)


async def store_everything(app: Quart, report: Report = REPORT, text: str = "a text") -> int:
    """Store a group with three samples and a row of every kind; returns its id."""
    now = time.time()
    group = group_of(report)
    await store(app, group)
    await store(
        app,
        sample_of(replace(report, id="0", reference="aaaaaaaa"), group.id, 7200),
        sample_of(report, group.id),
        ErrorMinute(group_id=group.id, minute=int(now // 60), host="web1", count=7),
        ErrorMinute(group_id=group.id, minute=int(now // 60), host="web2", count=2),
        ErrorHour(group_id=group.id, hour=int(now // 3600), count=9),
        ErrorHour(group_id=group.id, hour=int(now // 3600) - 200, count=1225),
        *(
            ErrorTag(group_id=group.id, name=name, value=text, first_seen=1.0, last_seen=now)
            for name in ("release", "host", "environment")
        ),
        ErrorRelease(name=text, at=now - 90_000, who=text),
        ErrorAct(group_id=group.id, at=now - 1800, who=text, kind="resolve", text=""),
        ErrorAct(group_id=group.id, at=now - 1700, who="susan", kind="comment", text=text),
        ErrorFeedback(group_id=group.id, reference="abcdefgh", at=now - 60, who=text, text=text),
        ErrorAlert(
            group_id=group.id,
            kind="new",
            ordinal=1,
            episode=1,
            count=1,
            since=now - 99,
            created_at=now - 99,
            due_at=now,
            tries=2,
            error=text,
            state="waiting",
        ),
        group_of(replace(report, fingerprint="b1", title="KeyError in basket.total", culprit=text)),
    )
    return group.id
