"""Run many cases, and report the first in which the sides differ."""

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from sqlalchemy.exc import SAWarning

from tests.conftest import POSTGRESQL, new_postgresql
from tests.system.units.case import Case
from tests.system.units.generate import generate
from tests.system.units.run import run
from tests.system.units.sides import Oracle, Subject


@contextlib.asynccontextmanager
async def sides(
    url: str, oracle_url: str, make: Callable[[str], Subject] = Subject
) -> AsyncIterator[tuple[Subject, Oracle]]:
    subject, oracle = make(url), Oracle(oracle_url)
    await subject.open()
    await oracle.open()
    try:
        yield subject, oracle
    finally:
        await subject.close()
        await oracle.close()


async def first_difference(seeds: Iterable[int], subject: Subject, oracle: Oracle) -> str:
    """The first case that differs, made smaller if it can be; "" if none does."""
    for seed in seeds:
        case = generate(seed, for_sqlite=subject.is_sqlite)
        if found := await run(case, subject, oracle):
            smallest = await shrink(case, subject, oracle)
            found = await run(smallest, subject, oracle) or found
            return f"seed {seed}: {describe(smallest, subject)}\n" + "\n".join(found)
    return ""


async def shrink(case: Case, subject: Subject, oracle: Oracle) -> Case:
    """The case without the steps that the difference does not need."""
    for number in range(len(case.steps) - 1, -1, -1):
        fewer = replace(case, steps=case.steps[:number] + case.steps[number + 1 :])
        with contextlib.suppress(Exception):
            if fewer.never_waits() and await run(fewer, subject, oracle):
                case = fewer
    return case


def describe(case: Case, subject: Subject) -> str:
    texts = [
        f"  {number}: {' '.join(str(subject.statement(each).element).split())}"
        for number, each in enumerate(case.statements)
        if any(step.statement == number or step.verb.endswith("write_all") for step in case.steps)
    ]
    return "\n".join([str(case), *texts])


async def campaign(count: int, first: int, database: str) -> str:
    started = time.monotonic()
    for begin in range(first, first + count, 1000):
        seeds = range(begin, min(begin + 1000, first + count))
        async with _urls(database) as urls, sides(*urls) as (subject, oracle):
            if found := await first_difference(seeds, subject, oracle):
                return found
        elapsed = time.monotonic() - started
        print(f"{database}: {seeds.stop - first:6} in {elapsed:4.0f} s", flush=True)
    return ""


@contextlib.asynccontextmanager
async def _urls(database: str) -> AsyncIterator[tuple[str, str]]:
    if database == "postgresql":
        async with new_postgresql() as url:
            yield url, url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/subject.db", f"sqlite:///{folder}/oracle.db"


def main(arguments: list[str]) -> int:
    """Compare what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser("python -m tests.system.units", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first case; random if not given")
    parser.add_argument("--count", type=int, help="10,000, or 1 with a seed")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="both if not given")
    options = parser.parse_args(arguments)
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    count = options.count or (10_000 if options.seed is None else 1)
    databases = [options.database] if options.database else ["sqlite", "postgresql"]
    if not POSTGRESQL and "postgresql" in databases:
        databases.remove("postgresql")
        print("not on PostgreSQL: QUARTAPP_TEST_POSTGRESQL has no address of a server")
    # Of statements and sessions that are used wrongly on purpose.
    warnings.simplefilter("ignore", SAWarning)
    for database in databases:
        print(f"{database}: {count} cases from seed {first}", flush=True)
        if found := asyncio.run(campaign(count, first, database)):
            print(found)
            return 1
    print("no difference")
    return 0
