"""The pages of the inbox on a month of 10,000 groups: `make bench-inbox`.

`errors demo` fills a new database of SQLite, and one of PostgreSQL if a server is known. Each page
is requested in process, in turn, ROUNDS times. Measured: the time from the request to the response,
and the CPU time of this process, which on SQLite is that of the database too. Ends with 1 if the
median of a page is above the aim.
"""

import argparse
import asyncio
import os
import tempfile
import time
from statistics import median
from typing import NamedTuple
from urllib.parse import urlencode

from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import func, select

from benchmarks.databases import admin_address, created
from quartapp.database import DatabaseEngine
from quartapp.inbox import Inbox
from quartapp.reporting import Reporting
from quartapp.reporting.demo import fill
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorGroup, ErrorReference, ErrorSample

ROUNDS = 30
AIM = 50.0
"""Milliseconds of a page, at the median."""


class Row(NamedTuple):
    """One page on one database: milliseconds."""

    page: str
    database: str
    median: float
    worst: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--occurrences", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    rows: list[Row] = []
    for kind in ["sqlite", *(["postgresql"] if admin_address() else [])]:
        with created(kind) as url:
            measuring = measured(kind, url, given.groups, given.occurrences, given.rounds)
            rows += asyncio.run(measuring)
    print("| page | database | median ms | worst ms | CPU ms |")
    print("|---|---|--:|--:|--:|")
    for row in rows:
        print("| {} | {} | {:.1f} | {:.1f} | {:.1f} |".format(*row))
    late = [row for row in rows if row.median > AIM]
    if late:
        raise SystemExit(f"above {AIM:g} ms: {', '.join(row.page for row in late)}")


async def measured(kind: str, url: str, groups: int, occurrences: int, rounds: int) -> list[Row]:
    """Each page on a new database."""
    with tempfile.TemporaryDirectory() as folder:
        app = Quart("shop", instance_path=folder)
        app.config |= {"SECRET_KEY": os.urandom(16).hex(), "ERRORS_DATABASE_URL": url}
        Reporting(app)
        Inbox(app, allow=lambda: True)
        pipeline: Pipeline = app.extensions["reporting"]
        await pipeline.prepare()
        began = time.perf_counter()
        async for step in fill(pipeline.database, groups=groups, occurrences=occurrences):
            print(f"{kind}: {step}", flush=True)
        print(f"{kind}: filled in {time.perf_counter() - began:.0f} s", flush=True)
        pages = await _pages(pipeline.database)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
        client = app.test_client()
        for number in range(rounds + 1):
            for name, address in pages.items():
                taken = await _request(client, address)
                if number:  # the first compiles templates and statements
                    times[name].append(taken)
        await pipeline.database.dispose()
    return [
        Row(
            name,
            kind,
            median(wall for wall, _ in taken),
            max(wall for wall, _ in taken),
            median(cpu for _, cpu in taken),
        )
        for name, taken in times.items()
    ]


async def _request(client: TestClientProtocol, address: str) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    response = await client.get(address)
    await response.get_data()
    taken = (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000
    if response.status_code not in {200, 302, 303}:
        raise SystemExit(f"{address} answers with {response.status_code}")
    return taken


async def _pages(database: DatabaseEngine) -> dict[str, str]:
    """Addresses by what they show."""
    async with database.session(write=False) as session:
        often = await session.scalar(select(ErrorGroup.id).order_by(ErrorGroup.count.desc()))
        middle = await session.scalar(select(func.max(ErrorGroup.id))) or 0
        reference = await session.scalar(select(ErrorSample.reference))
        known = await session.scalar(select(func.count()).select_from(ErrorReference).limit(1))
    assert known, "no references"

    def listed(**arguments: str | int) -> str:
        return f"/errors/?{urlencode(arguments)}"

    return {
        "list": "/errors/",
        "list by count": listed(sort="count"),
        "list by people": listed(sort="people"),
        "list of resolved": listed(state="resolved"),
        "list of a release": listed(state="all", release="v1.4"),
        "list of a host": listed(state="all", host="web-2"),
        "search: a rare word": listed(state="all", q="wishlist.export_list"),
        "search: a frequent word": listed(state="all", q="order"),
        "search: nothing": listed(state="all", q="no such text"),
        "search: a reference": listed(q=str(reference)),
        "one, a million times": f"/errors/{often}",
        "one, rare": f"/errors/{middle // 2}",
        "one as JSON": f"/errors/{often}.json",
        "one as Markdown": f"/errors/{often}.md",
        "overview": "/errors/overview",
    }


if __name__ == "__main__":
    main()
