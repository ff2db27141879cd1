"""One run: writers with a ledger, backups meanwhile, and what each of them has."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
from sqlalchemy import insert, select

from quartapp.database import DatabaseEngine
from quartapp.microblog.migrate import migrate
from quartapp.microblog.models import Post
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import add_user
from quartapp.microblog.testing import environment
from quartapp.testing.server import LiveServer
from tests.system.faults.kill_workers import ROOT, SERVE

WRITERS = 8

Write = Callable[[str], Awaitable[None]]
"""Writes a post, and returns when it was acknowledged."""

BackUp = Callable[[Path], Awaitable[None]]
Restore = Callable[[Path], Awaitable[None]]


@dataclass
class Ledger:
    """The texts of the posts that were acknowledged, in this order, also in a file."""

    file: Path
    texts: list[str] = field(default_factory=list)

    def note(self, *texts: str) -> None:
        self.texts += texts
        with self.file.open("a") as file:
            file.writelines(f"{text}\n" for text in texts)


@dataclass
class Outcome:
    written: int = 0
    backups: int = 0
    faults: list[str] = field(default_factory=list)

    def look(self, promised: set[str], found: list[str]) -> None:
        """Compare what was acknowledged before a backup with what was restored from it."""
        self.backups += 1
        if lost := promised - set(found):
            self.faults.append(f"backup {self.backups} lacks {len(lost)} acknowledged posts")
        halves = {text[:-2] for text in found if text.startswith("pair")}
        if torn := [name for name in halves if not {f"{name}-a", f"{name}-b"} <= set(found)]:
            self.faults.append(f"backup {self.backups} has half of {len(torn)} transactions")


async def run(
    folder: Path,
    url: str,
    restored_url: str,
    seconds: float,
    write: Write,
    back_up: BackUp,
    restore: Restore,
    *,
    least: int = 1,
) -> Outcome:
    """Write for so long, back up meanwhile (`least` times), then restore each backup."""
    outcome, ledger = Outcome(), Ledger(folder / "ledger")
    taken: list[tuple[Path, set[str]]] = []
    async with asyncio.timeout(seconds + 60 * least):
        writers = [asyncio.create_task(_write(n, write, ledger)) for n in range(WRITERS)]
        writers.append(asyncio.create_task(_write_pairs(url, ledger)))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end or len(taken) < least:
            await asyncio.sleep(seconds / 10)
            promised, file = set(ledger.texts), folder / f"{len(taken)}.backup"
            await back_up(file)
            taken.append((file, promised))
        for writer in writers:
            writer.cancel()
        ended = await asyncio.gather(*writers, return_exceptions=True)
    outcome.faults += [repr(each) for each in ended if isinstance(each, Exception)]
    for file, promised in taken:
        await restore(file)
        outcome.look(promised, await _texts(restored_url))
    outcome.written = len(ledger.texts)
    return outcome


async def _write(writer: int, write: Write, ledger: Ledger) -> None:
    for number in count():
        text = f"post {writer} {number}"
        await write(text)
        ledger.note(text)


async def _write_pairs(url: str, ledger: Ledger) -> None:
    async with _opened(url) as database:
        for number in count():
            texts = [f"pair {number}-a", f"pair {number}-b"]
            async with database.begin() as session:
                for text in texts:
                    await session.execute(insert(Post).values(body=text, user_id=1))
                    await asyncio.sleep(0.001)
            ledger.note(*texts)
            await asyncio.sleep(0.001)


async def _texts(url: str) -> list[str]:
    async with _opened(url) as database, database.session(write=False) as session:
        return list(await session.scalars(select(Post.body)))


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[DatabaseEngine]:
    database = DatabaseEngine(url)
    try:
        yield database
    finally:
        await database.dispose()


async def run_served(
    folder: Path, url: str, restored_url: str, seconds: float, *, say: Callable[[str], object]
) -> Outcome:
    """With clients of a server of two workers, and the commands that the documents name."""
    token = await add_author(url)
    given = environment(folder, url) | {"WORKERS": "2", "PYTHONPATH": str(ROOT)}
    server = LiveServer(given, [SERVE])
    await asyncio.to_thread(server.__enter__)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:

            async def write(text: str) -> None:
                response = await client.post("/api/posts", json={"body": text})
                assert response.status_code == 201, response.text

            outcome = await run(
                folder,
                url,
                restored_url,
                seconds,
                write,
                lambda file: _command(folder, url, "backup", str(file)),
                lambda file: _command(folder, restored_url, "restore", str(file), "--replace"),
                least=4,
            )
    finally:
        await asyncio.to_thread(server.stop)
    say(
        f"{url.partition(':')[0]}: {outcome.written} posts acknowledged, {outcome.backups} backups"
        f" restored, {len(outcome.faults)} faults"
    )
    return outcome


async def add_author(url: str) -> str:
    """Make the tables and somebody who writes, with the id 1; a token."""
    await asyncio.to_thread(migrate, url)
    async with _opened(url) as database, database.session() as session:
        person = await add_user(session, "susan", "susan@example.com", "no password")
        return (await issue_token(session, person.id, person.login_epoch)).token


async def _command(folder: Path, url: str, *arguments: str) -> None:
    given = environment(folder, url)
    command = [sys.executable, "-m", "quart", "--app", "quartapp", "db", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, env=given, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
