"""A month of errors of a shop that does not exist: to look around, for benchmarks and pictures."""

import random
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, product
from typing import Any

from sqlalchemy import func, insert, select, text

from quartapp.database import DatabaseEngine, dialect
from quartapp.database.dialect import database_now, is_sqlite
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.counting.samples import allowed
from quartapp.reporting.references import NUMBERS, number_of, reference_of
from quartapp.reporting.report import Origin, Report, RequestInfo
from quartapp.reporting.tables import (
    Base,
    ErrorAct,
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorHour,
    ErrorMinute,
    ErrorPerson,
    ErrorReference,
    ErrorRelease,
    ErrorSample,
    ErrorTag,
    ErrorTraffic,
)

DAYS = 30
_HOURS = DAYS * 24
_MINUTES_DAYS = 7
_ROWS = 2000
_REFERENCES = 250_000
_HOSTS = ("web-1", "web-2", "web-3")
_PEOPLE = 1000

# What fails, with a message, the line of source, and a local variable.
_ERRORS = (
    ("KeyError", "'total'", "return basket['total'] * (1 + vat)", ("basket", "{'items': []}")),
    ("ValueError", "invalid literal for int() with base 10: 'abc'", "page = int(args['page'])",
     ("args", "{'page': 'abc'}")),
    ("TypeError", "unsupported operand type(s) for +: 'int' and 'NoneType'",
     "total = subtotal + shipping", ("shipping", "None")),
    ("AttributeError", "'NoneType' object has no attribute 'email'",
     "await send(customer.email, text)", ("customer", "None")),
    ("ZeroDivisionError", "division by zero", "rate = sold / shown", ("shown", "0")),
    ("TimeoutError", "", "async with asyncio.timeout(2):", ("attempt", "3")),
    ("ConnectionRefusedError", "[Errno 111] Connect call failed ('10.0.0.7', 6379)",
     "await redis.ping()", ("address", "('10.0.0.7', 6379)")),
    ("sqlalchemy.exc.IntegrityError", "UNIQUE constraint failed: customers.username",
     "await session.commit()", ("username", "'susan'")),
    ("sqlalchemy.exc.OperationalError", "database is locked", "await session.execute(query)",
     ("query", "<Select>")),
    ("jinja2.exceptions.UndefinedError", "'order' is undefined",
     "return await render_template('order.html')", ("template", "'order.html'")),
    ("httpx.ReadTimeout", "", "answer = await client.post(url, json=order)",
     ("url", "'https://payments.example/charge'")),
    ("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)",
     "return json.loads(body)", ("body", "'<html>'")),
    ("UnicodeDecodeError", "'utf-8' codec can't decode byte 0xe9 in position 3",
     "name = raw.decode()", ("raw", "b'Caf\\xe9'")),
    ("PermissionError", "[Errno 13] Permission denied: 'exports/orders.csv'",
     "path.write_text(rows)", ("path", "PosixPath('exports/orders.csv')")),
    ("RecursionError", "maximum recursion depth exceeded", "return walk(node.parent)",
     ("node", "<Category 7>")),
    ("decimal.InvalidOperation", "[<class 'decimal.ConversionSyntax'>]",
     "price = Decimal(field)", ("field", "'12,90'")),
)  # fmt: skip
# fmt: off
_MODULES = (
    "shop.cart", "shop.checkout", "shop.search", "shop.customers", "shop.invoices", "shop.orders",
    "shop.stock", "shop.mail", "shop.exports", "shop.reviews", "shop.vouchers", "shop.payments",
    "shop.shipping", "shop.catalogue", "shop.images", "shop.sessions", "shop.newsletter",
    "shop.refunds", "shop.reports", "shop.warehouse", "shop.feeds", "shop.addresses", "shop.taxes",
    "shop.wishlist", "shop.subscriptions",
)
_VERBS = ("show", "add", "update", "remove", "send", "import", "export", "check")
_NOUNS = ("item", "order", "customer", "price", "list")
# fmt: on
_FUNCTIONS = tuple(f"{verb}_{noun}" for verb, noun in product(_VERBS, _NOUNS))
_ACTS = ("Looks like the new client.", "Only on web-2?", "Waiting for the upstream fix.")
_TEXTS = ("I clicked on pay twice.", "It happens with Safari only.", "The voucher was SUMMER26.")


class NotEmptyError(RuntimeError):
    """The database has errors already."""


@dataclass(slots=True)
class _Invented:
    """A group, and when it occurred: counts of hours, the first of them `hours[0]`."""

    id: int
    kind: tuple[str, str, str, tuple[str, str]]
    module: str
    function: str
    count: int
    hours: dict[int, int] = field(default_factory=dict)
    people: int = 0

    @property
    def title(self) -> str:
        return f"{self.kind[0].rpartition('.')[2]} in {self.culprit}"

    @property
    def culprit(self) -> str:
        return f"{self.module}.{self.function}"

    @property
    def fingerprint(self) -> str:
        return f"{self.id * 0x9E3779B97F4A7C15 % 2**64:016x}{self.id:016x}-1"


async def fill(
    database: DatabaseEngine, *, groups: int = 10_000, occurrences: int = 10_000_000
) -> AsyncGenerator[str, None]:
    """Invent a month of errors up to now; yields a line after each step.

    It is the same month at each call. Raises NotEmptyError and the database's errors.
    """
    async with database.session(write=False) as session:
        if await session.scalar(select(func.count()).select_from(ErrorGroup)):
            raise NotEmptyError("this database has errors already; name an empty one")
        now = await database_now(session)
    numbers = random.Random(groups)
    month = _Month(now, numbers, _invent(groups, occurrences, numbers))
    for name, table, rows in month.parts():
        number, left = 0, iter(rows)
        while some := list(islice(left, _ROWS)):
            number += len(some)
            async with database.begin() as session:
                await session.execute(insert(table), some)
        yield f"{number:,} {name}"
    async with database.begin() as session:
        if not is_sqlite(session):  # the ids were given
            query = "SELECT setval(pg_get_serial_sequence('error_groups', 'id'), :id)"
            await session.execute(text(query), {"id": groups})
    step = NUMBERS // occurrences
    without_report = occurrences - len(month.references)
    for first in range(0, without_report, _REFERENCES):
        number = min(_REFERENCES, without_report - first)
        values = {"first": first, "most": number - 1, "step": step, "groups": groups}
        await _add_references(database, values | {"now": int(now), "seconds": DAYS * 86400})
    left = iter(month.references)
    while some := list(islice(left, _ROWS)):
        async with database.begin() as session:
            adding = dialect.insert(ErrorReference, is_sqlite(session)).on_conflict_do_nothing()
            await session.execute(adding, some)
    yield f"{occurrences:,} references"


def _invent(groups: int, occurrences: int, numbers: random.Random) -> list[_Invented]:
    """Groups of which each is rarer than the one before (Zipf's law), with their hours."""
    names = list(product(_ERRORS, _MODULES, _FUNCTIONS))
    numbers.shuffle(names)
    weights = [1 / number for number in range(1, groups + 1)]
    unit = occurrences / sum(weights)
    found = []
    for number, weight in enumerate(weights, 1):
        kind, module, function = names[number % len(names)]
        one = _Invented(number, kind, module, function, max(1, round(unit * weight)))
        one.hours = _hours(one.count, numbers)
        one.people = min(_PEOPLE, round(one.count**0.6))
        found.append(one)
    found[0].count += occurrences - sum(one.count for one in found)
    found[0].hours = _hours(found[0].count, numbers)
    return found


def _hours(count: int, numbers: random.Random) -> dict[int, int]:
    """Counts of some hours of the month, more by day than by night, from a first one to a last."""
    is_frequent = count > 50_000
    begin = 0 if is_frequent else int(numbers.random() ** 2 * _HOURS)
    goes_on = is_frequent or numbers.random() < 0.3
    end = _HOURS if goes_on else numbers.randint(begin, _HOURS - 1) + 1
    some = min(end - begin, max(1, round(count**0.7)))
    hours = sorted(numbers.sample(range(begin, end), some))
    weights = [numbers.expovariate(1) * (3 if 8 <= hour % 24 < 22 else 1) for hour in hours]
    unit = (count - some) / sum(weights)
    counts = [1 + int(weight * unit) for weight in weights]
    counts[-1] += count - sum(counts)
    return dict(zip(hours, counts, strict=True))


class _Month:
    """The rows of each table."""

    def __init__(self, now: float, numbers: random.Random, groups: list[_Invented]) -> None:
        self._now = now
        self._begin = now - _HOURS * 3600
        self._numbers = numbers
        self._groups = groups
        self.references: list[dict[str, int]] = []
        self._releases = [(f"v1.{n}", self._begin + n * 3 * 86400) for n in range(10)]

    def parts(self) -> Iterator[tuple[str, type[Base], Iterable[dict[str, Any]]]]:
        yield "groups", ErrorGroup, map(self._group, self._groups)
        yield "releases", ErrorRelease, self._release_rows()
        yield "hours", ErrorHour, self._hour_rows()
        yield "minutes", ErrorMinute, self._minute_rows()
        yield "people", ErrorPerson, self._person_rows()
        yield "places", ErrorTag, self._tag_rows()
        yield "reports", ErrorSample, self._sample_rows()
        yield "mails", ErrorAlert, self._alert_rows()
        yield "acts", ErrorAct, self._act_rows()
        yield "texts of people", ErrorFeedback, self._feedback_rows()
        yield "minutes of traffic", ErrorTraffic, self._traffic_rows()

    def _moment(self, hour: int) -> float:
        """A moment in an hour of the month, which ends now."""
        return self._begin + (hour + self._numbers.random()) * 3600

    def _times(self, group: _Invented) -> tuple[float, float]:
        part = group.id * 0.618 % 1
        last = max(group.hours) + 0.5 + part / 2
        return self._begin + (min(group.hours) + part / 2) * 3600, self._begin + last * 3600

    def _release_at(self, moment: float) -> str:
        return next(name for name, since in reversed(self._releases) if since <= moment)

    def _group(self, group: _Invented) -> dict[str, Any]:
        first, last = self._times(group)
        row: dict[str, Any] = {
            "id": group.id,
            "fingerprint": group.fingerprint,
            "title": group.title,
            "culprit": group.culprit,
            "level": "ERROR",
            "count": group.count,
            "first_seen": datetime.fromtimestamp(first, UTC),
            "last_seen": datetime.fromtimestamp(last, UTC),
            "message": group.kind[1],
            "route": _route(group),
            "people": group.people,
            "changed_at": last,
            "resolved_at": None,
            "regressed_at": None,
            "muted_until": None,
            "muted_more": None,
            "revision": 0,
        }
        if group.id % 10 == 3:
            row |= {"resolved_at": last + 3600, "revision": 1}
        elif group.id % 25 == 4:
            row |= {"muted_until": self._now + 7 * 86400, "revision": 1}
        elif group.id % 40 == 5:
            row |= {"regressed_at": (first + last) / 2, "revision": 1}
        return row

    def _release_rows(self) -> Iterator[dict[str, Any]]:
        for name, since in self._releases:
            yield {"name": name, "at": since, "who": "deploy"}

    def _hour_rows(self) -> Iterator[dict[str, Any]]:
        # Hours count from the epoch; this month need not begin at a full hour.
        begin = int(self._begin // 3600)
        for group in self._groups:
            for hour, count in group.hours.items():
                yield {"group_id": group.id, "hour": begin + hour, "count": count}

    def _minute_rows(self) -> Iterator[dict[str, Any]]:
        begin, since = int(self._begin // 3600), (DAYS - _MINUTES_DAYS) * 24
        for group in self._groups:
            for hour, count in group.hours.items():
                if hour < since:
                    continue
                some = sorted(self._numbers.sample(range(60), min(60, max(1, round(count**0.8)))))
                for index, minute in enumerate(some):
                    share = count // len(some) + (index < count % len(some))
                    yield {
                        "group_id": group.id,
                        "minute": (begin + hour) * 60 + minute,
                        "host": _HOSTS[(group.id + minute) % 3],
                        "count": share,
                    }

    def _person_rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups:
            for number in range(group.people):
                yield {"group_id": group.id, "person": number * 0x9E3779B97F4A7C15 % 2**63}

    def _tag_rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups:
            first, last = self._times(group)
            times = {"first_seen": first, "last_seen": last}
            values = [("environment", "production" if group.id % 7 else "staging")]
            values += [("host", host) for host in _HOSTS[: min(3, group.count)]]
            values += [
                ("release", name)
                for name, since in self._releases
                if since <= last and since + 3 * 86400 >= first
            ]
            for name, value in values:
                yield {"group_id": group.id, "name": name, "value": value, **times}

    def _sample_rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups:
            # The often ones have many; the others few, so that the month takes little room.
            most = allowed(group.count) if group.id <= 50 else 2
            hours = list(group.hours)
            chosen = {0, len(hours) - 1, *self._numbers.choices(range(len(hours)), k=most - 1)}
            for number, hour in enumerate(sorted(chosen)):
                report = self._report(group, number, self._moment(hours[hour]))
                self._keep_reference(report, group)
                yield {
                    "group_id": group.id,
                    "report_id": report.id,
                    "reference": report.reference,
                    "release": report.origin.release,
                    "host": report.origin.host,
                    "seen_at": datetime.fromtimestamp(report.time, UTC),
                    "report": report.to_json(),
                }

    def _keep_reference(self, report: Report, group: _Invented) -> None:
        if (number := number_of(report.reference)) is not None:
            row = {"number": number, "group_id": group.id, "seen_at": int(report.time)}
            self.references.append(row)

    def _report(self, group: _Invented, number: int, moment: float) -> Report:
        name, message, line, variable = group.kind
        source = (
            f"async def {group.function}(id):",
            "    # for the page of the order",
            f"    {line}",
            "",
        )
        start = group.id % 90 + 10
        path = f"{group.module.replace('.', '/')}.py"
        frames = (
            Frame("quart/app.py", "", "Quart.full_dispatch_request", 1461),
            Frame("quart/app.py", "", "Quart.dispatch_request", 1563),
            Frame(
                path, "", group.function, start + 2, True, start, source, (("id", "7"), variable)
            ),
        )
        host = _HOSTS[(group.id + number) % 3]
        headers = (("Host", "shop.example"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"))
        return Report(
            id=f"demo-{group.id}-{number}",
            fingerprint=group.fingerprint,
            time=moment,
            title=group.title,
            culprit=group.culprit,
            logger="shop",
            message=f"Exception on {_route(group)} [GET]",
            mechanism="handler",
            exceptions=(ExceptionInfo(name, message, frames=frames),),
            request=RequestInfo(
                "GET", f"https://shop.example{_route(group).replace('<int:id>', '7')}",
                _route(group), _endpoint(group), headers,
            ),
            user_id=str(self._numbers.randint(1, 5000)),
            reference=reference_of(self._numbers.randrange(NUMBERS)),
            origin=Origin(
                release=self._release_at(moment),
                host=host,
                worker="1207",
                versions={"python": sys.version.split()[0], "shop": "1.0"},
            ),
        )  # fmt: skip

    def _alert_rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups:
            first, _ = self._times(group)
            state = "aside" if group.id in {77, 78} else "sent"
            yield {
                "group_id": group.id,
                "kind": "new",
                "ordinal": 1,
                "episode": 1,
                "count": 1,
                "since": first,
                "state": state,
                "created_at": first + 10,
                "due_at": first + 10,
                "sent_at": first + 12 if state == "sent" else None,
                "tries": 1 if state == "sent" else 3,
                "error": "" if state == "sent" else "550 5.1.1 no such user",
            }

    def _act_rows(self) -> Iterator[dict[str, Any]]:
        kinds = {3: "resolve", 13: "resolve", 4: "mute", 5: "comment"}
        for group in self._groups:
            _, last = self._times(group)
            kind = "resolve" if group.id % 10 == 3 else kinds.get(group.id % 25, "")
            if kind:
                words = _ACTS[group.id % 3] if kind == "comment" else ""
                act = {"group_id": group.id, "at": last + 3600, "who": "john", "kind": kind}
                yield act | {"text": words}

    def _feedback_rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups[:60]:
            _, last = self._times(group)
            words = _TEXTS[group.id % 3]
            at = {"group_id": group.id, "reference": "", "at": last}
            yield at | {"who": str(group.id), "text": words}

    def _traffic_rows(self) -> Iterator[dict[str, Any]]:
        begin, minutes = int(self._begin // 60), _HOURS * 60
        occurrences = sum(group.count for group in self._groups)
        for minute in range(max(0, minutes - occurrences), minutes):  # few, for a small month
            by_day = 3 if 8 <= (minute // 60) % 24 < 22 else 1
            for host in _HOSTS:
                responses = by_day * self._numbers.randint(800, 1200)
                failures = self._numbers.randint(0, responses // 100)
                row = {"minute": begin + minute, "host": host, "responses": responses}
                yield row | {"failures": failures}


def _route(group: _Invented) -> str:
    parts = group.module.removeprefix("shop.").replace(".", "/")
    return f"/{parts}/<int:id>/{group.function.replace('_', '-')}"


def _endpoint(group: _Invented) -> str:
    return f"{group.module.rpartition('.')[2]}.{group.function}"


async def _add_references(database: DatabaseEngine, values: dict[str, int]) -> None:
    """Made by the database itself, which is ten times as fast."""
    async with database.begin() as session:
        if is_sqlite(session):
            ordinals = (
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :most)"
            )
            source, chance = "n", "(abs(random()) % 1000000 / 1000000.0)"
        else:
            ordinals, source, chance = "", "generate_series(0, :most) AS n(i)", "random()"
        statement = (
            f"{ordinals} INSERT INTO error_references (number, group_id, seen_at)"
            f" SELECT (CAST(:first AS BIGINT) + i) * CAST(:step AS BIGINT)"
            f" + CAST({chance} * (CAST(:step AS BIGINT) - 1) AS BIGINT),"
            f" 1 + CAST({chance} * {chance} * {chance} * (:groups - 1) AS BIGINT),"
            f" :now - CAST({chance} * :seconds AS INTEGER) FROM {source}"
        )
        await session.execute(text(statement), values)
