"""One run: people, a server, a restart, another server, and the account at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from quartapp.database import DatabaseEngine
from quartapp.microblog.migrate import migrate
from quartapp.microblog.models import Post
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import add_user
from quartapp.microblog.testing import environment
from quartapp.reporting.tables import ErrorGroup
from quartapp.testing.server import LiveServer
from tests.system.faults.kill_workers import ROOT, SERVE
from tests.system.load.people import Person, Traffic

WARM_UP = 0.25
"""The part of a server's time after which its memory is taken as its usual one."""

MOST_GROWTH = 24 * 1024 * 1024
"""Bytes by which all workers together may grow after that."""

MOST_FILES = 60
"""More open files at the end: pools may have opened connections, of three files each on SQLite."""

AUTHORS = 20
_QUIET = 2.0
"""Seconds after which what people held is given back."""


@dataclass
class Usage:
    """What the processes of a server hold."""

    memory: int
    files: int
    threads: int


@dataclass
class Outcome:
    traffic: Traffic
    stored: list[str]
    counted: dict[str, int]
    """Errors by the titles of their groups."""
    codes: list[int]
    usages: list[tuple[Usage, Usage]] = field(default_factory=list)
    """Of each server: in use after its warm-up, and at its end; the last one is at rest then."""

    @property
    def faults(self) -> list[str]:
        traffic = self.traffic
        found = [f"{count} x {what}" for what, count in traffic.unexpected.items()]
        if traffic.hanging:
            found.append(f"{traffic.hanging} requests had no answer")
        if traffic.closed:
            found.append(f"{traffic.closed} connections ended before the answer")
        if lost := traffic.posts - set(self.stored):
            found.append(f"{len(lost)} acknowledged posts are lost")
        if there := traffic.unpublished & set(self.stored):
            found.append(f"{len(there)} posts are published whose answer said otherwise")
        if doubled := len(self.stored) - len(set(self.stored)):
            found.append(f"{doubled} posts are there twice")
        most = traffic.errors + traffic.perhaps
        if not traffic.errors <= sum(self.counted.values()) <= most:
            found.append(f"{traffic.errors} errors received, {self.counted} counted")
        if any(self.codes):
            found.append(f"the servers ended with {self.codes}")
        for warm, end in self.usages:
            if end.memory - warm.memory > MOST_GROWTH:
                found.append(f"memory grew from {warm.memory} to {end.memory} bytes")
        warm, end = self.usages[-1]
        if end.files > warm.files + MOST_FILES:
            found.append(f"open files grew from {warm.files} to {end.files}")
        return found

    @property
    def is_right(self) -> bool:
        return not self.faults


async def run(
    folder: Path, url: str, seconds: float, connections: int, *, say: Callable[[str], object]
) -> Outcome:
    """Serve for half of the time, restart, and serve for the other half."""
    await asyncio.to_thread(migrate, url)
    tokens = await _add_authors(url)
    traffic = Traffic()
    people = [Person(n, tokens[n % AUTHORS], traffic) for n in range(connections)]
    outcome = Outcome(traffic, [], {}, [])
    given = environment(folder, url) | {"WORKERS": "2", "PYTHONPATH": str(ROOT)}
    using: list[asyncio.Task[None]] = []
    for life in (1, 2):
        async with _served(given) as server:
            traffic.is_restarting = False
            if not using:
                address = urlsplit(server.url)
                assert address.hostname
                assert address.port
                given["PORT"] = str(address.port)
                using = [
                    asyncio.create_task(person.act_until_over(address.hostname, address.port))
                    for person in people
                ]
            await _warm_up(traffic, seconds / 2 * WARM_UP, connections)
            warm = _usage(server)
            say(f"server {life}: {sum(traffic.answers.values())} answers, {warm}")
            await asyncio.sleep(seconds / 2 * (1 - WARM_UP))
            if life == 2:
                traffic.is_over = True
                await asyncio.gather(*using)
                await asyncio.sleep(_QUIET)
            outcome.usages.append((warm, _usage(server)))
            traffic.is_restarting = True
            outcome.codes.append(await asyncio.to_thread(server.stop))
    outcome.stored, outcome.counted = await _account(url)
    say(
        f"answers {dict(traffic.answers)}, refused {traffic.busy}, "
        f"posts {len(traffic.posts)} acknowledged and {len(outcome.stored)} stored, "
        f"errors {traffic.errors} received and {outcome.counted} counted, "
        f"usage {outcome.usages[-1]}"
    )
    return outcome


async def _warm_up(traffic: Traffic, seconds: float, connections: int) -> None:
    """Wait for so long, and until everybody has had some answers of this server."""
    before = traffic.answers.total()
    await asyncio.sleep(seconds)
    async with asyncio.timeout(60):
        while traffic.answers.total() < before + 4 * connections:  # noqa: ASYNC110 it counts
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _served(environment: dict[str, str]) -> AsyncIterator[LiveServer]:
    """A server whose start does not stop the people."""
    server = LiveServer(environment, [SERVE])
    await asyncio.to_thread(server.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.kill)


def _usage(server: LiveServer) -> Usage:
    workers = psutil.Process(server.process.pid).children(recursive=True)
    return Usage(
        sum(worker.memory_info().rss for worker in workers),
        sum(worker.num_fds() for worker in workers),
        sum(worker.num_threads() for worker in workers),
    )


async def _add_authors(url: str) -> list[str]:
    database = DatabaseEngine(url)
    tokens = []
    cheap = generate_password_hash("cat-on-the-mat", method="pbkdf2:sha256:1")
    async with database.session() as session:
        for name in ("susan", *(f"author{number}" for number in range(AUTHORS))):
            person = await add_user(session, name, f"{name}@example.com", cheap)
            tokens.append((await issue_token(session, person.id, person.login_epoch)).token)
    await database.dispose()
    return tokens[1:]


async def _account(url: str) -> tuple[list[str], dict[str, int]]:
    """The texts of all posts and the errors counted, when no more are to come."""
    database = DatabaseEngine(url)
    groups = select(ErrorGroup.title, ErrorGroup.count)
    async with database.session(write=False) as session:
        stored = list(await session.scalars(select(Post.body)))
        counted = {
            f"{title} ({n})": count
            for n, (title, count) in enumerate(await session.execute(groups))
        }
    await database.dispose()
    return stored, counted
