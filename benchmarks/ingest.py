"""From the journal to counted, for each second of CPU: `make bench-ingest`.

A journal is filled with lines as an application writes them: full reports of a real IntegrityError
with the log lines and statements of its request, and ticks with a reference and one of a thousand
people. Then a consumer counts it into a new database of SQLite, and of PostgreSQL if
QUARTAPP_TEST_POSTGRESQL names a server. Only the CPU time of this process is counted: reading the
journal, SQLAlchemy, SQLite or the client of PostgreSQL. Each figure is the best of three.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.databases import admin_address, created
from benchmarks.reporting_capture import integrity_error
from quartapp.breadcrumbs import Breadcrumb
from quartapp.database import DatabaseEngine
from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.entries import Entry, Tick
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import FULL_REPORTS
from quartapp.reporting.references import ALPHABET, LENGTH, reference_of
from quartapp.reporting.report import Origin, Report, person_of
from quartapp.reporting.schema import prepare

ROUNDS = 3
STEPS = [
    Breadcrumb("log", 0.0004, "looking for susan", "INFO", "shop.people"),
    Breadcrumb("sql", 0.0012, "SELECT person.id FROM person WHERE person.username = ?", took=4e-4),
] * 4


def real_report() -> Report:
    error = asyncio.run(integrity_error())
    context = Context(
        method="POST",
        route="/register/<username>",
        url="http://localhost/register/susan",
        headers=[("Host", "localhost"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")],
        user_id="7",
        breadcrumbs=STEPS,
    )
    return capture(
        error,
        context,
        now=time.time(),
        places=Places(Path(__file__).parent),
        origin=Origin("production", "v1.2.3", "web1", "1"),
        scrubber=Scrubber(),
    ).report


def entries(report: Report, groups: int, occurrences: int) -> Iterator[Entry]:
    """Five full reports of each group, and ticks for the others, in turn."""
    seen = [0] * groups
    for number in range(occurrences):
        at = number % groups
        fingerprint = f"{at:032x}-1"
        reference = reference_of(secrets.randbelow(len(ALPHABET) ** LENGTH))
        person = person_of(str(number % 1000))
        seen[at] += 1
        if seen[at] > FULL_REPORTS:
            yield Tick(fingerprint, int(report.time), 1, reference, person)
            continue
        yield replace(
            report,
            id=secrets.token_hex(16),
            fingerprint=fingerprint,
            reference=reference,
            person=person,
        )


async def counted(url: str, report: Report, groups: int, occurrences: int) -> float:
    """Seconds of CPU time for counting so many occurrences."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), max_bytes=1 << 40, reports_bytes=1 << 40)
        for entry in entries(report, groups, occurrences):
            assert journal.append(entry.encode())
        journal.close()
        reader = Journal(Path(folder))
        database = DatabaseEngine(url)
        await prepare(database)
        consumer = Consumer(reader, database, Rules(host="web1", limits=Limits(), mails=True))
        began = time.process_time()
        assert await consumer.consume() == occurrences
        seconds = time.process_time() - began
        reader.close()
        await database.dispose()
    return seconds


def measure(name: str, groups: int, occurrences: int, report: Report) -> None:
    for kind in ("sqlite", "postgresql") if admin_address() else ("sqlite",):
        times = []
        for _ in range(ROUNDS):
            with created(kind) as url:
                times.append(asyncio.run(counted(url, report, groups, occurrences)))
        rate = occurrences / min(times)
        print(f"| {name} | {kind} | {occurrences:,} | {rate:,.0f} |", flush=True)


def main() -> None:
    report = real_report()
    size = len(report.encode())
    print(f"A full report: {size:,} bytes, {len(report.breadcrumbs)} breadcrumbs\n")
    print("| occurrences | database | counted | a CPU second |")
    print("|---|---|--:|--:|")
    measure("all in one group", 1, 30_000, report)
    measure("in 200 groups", 200, 20_000, report)
    measure("each in a new group", 2000, 2000, report)


if __name__ == "__main__":
    main()
