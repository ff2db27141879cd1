"""`python -m tests.system.side_by_side [--before COMMIT] [--postgresql URL]`.

Two versions on one database, with people who go from one to the other: before, during and after the
upgrade, and back again. It holds if no request fails, no error is reported, and every acknowledged
post is there at the end. The version before is a commit of this repository, which is checked out
into a temporary folder and uses the libraries of this one.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.microblog.testing import environment
from quartapp.testing.server import LiveServer
from tests.system.side_by_side.people import Person, Traffic

ROOT = Path(__file__).parents[3]
MIGRATIONS = "quartapp/microblog/migrations/versions"

PEOPLE = 8
SETTLED = 0.5
"""Seconds within which the requests end that were sent to a server before it was left alone."""


class Run:
    """One run on one database."""

    def __init__(self, old: Path, folder: Path, url: str, seconds: float) -> None:
        self.trees = {"old": old, "new": ROOT}
        self.environment = environment(folder, url) | {
            "ENVIRONMENT": "testing",
            "PASSWORD_COST": "8",
        }
        self.url = url
        self.seconds = seconds
        self.traffic = Traffic()
        self.faults: list[str] = []

    async def go(self) -> list[str]:
        """All phases; returns what was wrong."""
        await self.run("old", "-m", "alembic", "upgrade", "head")  # every version can
        people = [Person(number, self.traffic) for number in range(PEOPLE)]
        async with self.served("old"):
            self.traffic.phase = "register"
            await asyncio.gather(*(person.begin() for person in people))
            using = [asyncio.create_task(person.act_until_over()) for person in people]
            await self.phase("old code, old tables")
            await self.phase("during the upgrade", "new", "upgrade")
            await self.phase("old code, new tables")
            async with self.served("new"):
                await self.phase("both")
                async with self.without("old"):
                    await self.phase("new code")
                await self.phase("both, going back")
            await self.phase("old code again")
            await self.phase("during the downgrade", "new", "downgrade", "--yes")
            await self.phase("old code, old tables again")
            self.traffic.is_over = True
            await asyncio.gather(*using)
        await self.account()
        return self.faults

    async def phase(self, name: str, *migration: str) -> None:
        """Let people go on for a while; in the middle of it the migration runs."""
        self.traffic.phase = name
        await asyncio.sleep(self.seconds / 2)
        if migration:
            await self.command(*migration)
        await asyncio.sleep(self.seconds / 2)
        answers, longest = self.traffic.answers[name], self.traffic.longest.get(name, 0.0)
        print(f"  {name}: {answers} answers, the slowest after {longest:.2f} s")

    async def command(self, version: str, *arguments: str) -> None:
        """Run `quart db` of a version."""
        program = "from quart.cli import main; main()"
        await self.run(version, "-c", program, "--app", "quartapp", "db", *arguments)

    async def run(self, version: str, *arguments: str) -> None:
        """Run Python with a version."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *arguments],
            cwd=self.trees[version],
            env=self.of(version) | {"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            self.faults.append(f"{' '.join(arguments)} of {version}: {done.stderr}")

    def of(self, version: str) -> dict[str, str]:
        """The environment of a version, which finds its own modules before those of this one."""
        return self.environment | {"PYTHONPATH": str(self.trees[version])}

    @asynccontextmanager
    async def served(self, version: str) -> AsyncIterator[None]:
        """Serve a version, and see what it logged when it has ended."""
        tree = self.trees[version]
        server = LiveServer(self.of(version), [str(tree / "run.py")], cwd=tree)
        await asyncio.to_thread(server.__enter__)
        try:
            self.traffic.urls.append(server.url)
            setattr(self, f"{version}_url", server.url)
            yield
            if len(self.traffic.urls) > 1:
                self.traffic.urls.remove(server.url)
                await asyncio.sleep(SETTLED)
        finally:
            code = await asyncio.to_thread(server.stop)
            server.__exit__(None, None, None)
        lines = [line for line in server.lines if "ERROR" in line or "Traceback" in line]
        self.faults += [f"{version} logged: {line.strip()}" for line in lines]
        if code:
            self.faults.append(f"{version} ended with {code}")

    @asynccontextmanager
    async def without(self, version: str) -> AsyncIterator[None]:
        """Let people leave a version alone for a while, as a proxy that takes it out."""
        url = getattr(self, f"{version}_url")
        self.traffic.urls.remove(url)
        yield
        self.traffic.urls.append(url)

    async def account(self) -> None:
        """What is in the database at the end."""
        database = DatabaseEngine(self.url)
        stored = {body for (body,) in await database.read(text("SELECT body FROM posts"))}
        [(reports,)] = await database.read(text("SELECT count(*) FROM error_groups"))
        await database.dispose()
        acknowledged = self.traffic.acknowledged
        print(f"  {len(acknowledged)} posts acknowledged, {reports} errors reported")
        self.faults += [f"{count} x {what}" for what, count in self.traffic.unexpected.items()]
        if lost := acknowledged - stored:
            self.faults.append(f"{len(lost)} acknowledged posts are lost")
        if not acknowledged:
            self.faults.append("nobody posted")
        if reports:
            self.faults.append(f"{reports} errors are reported")


def before() -> str:
    """The last commit before the newest migration of the microblog."""
    newest = max((ROOT / MIGRATIONS).glob("[0-9]*.py"))
    command = ["git", "log", "--diff-filter=A", "--format=%H^", "-1", "--", str(newest)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def check_out(commit: str, folder: Path) -> Path:
    """The files of a commit. Exits with a sentence if this is no clone with that commit."""
    tree = folder / "before"
    tree.mkdir()
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    with archive:
        unpacked = subprocess.run(["tar", "x", "-C", str(tree)], stdin=archive.stdout, check=False)
    if archive.returncode or unpacked.returncode:
        sys.exit(
            f"The version before ({commit or 'no commit'}) is not in this clone: fetch the whole"
            " history, or name another."
        )
    return tree


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.side_by_side")
    parser.add_argument("--before", help="the old version (default: before the newest migration)")
    parser.add_argument("--postgresql", default="", help="an empty database, besides SQLite")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each phase takes")
    options = parser.parse_args(arguments)
    has_failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = check_out(options.before or before(), folder)
        for url in filter(None, (f"sqlite:///{folder}/site.db", options.postgresql)):
            print(url.partition(":")[0])
            data = folder / url.partition(":")[0]
            faults = asyncio.run(Run(old, data, url, options.seconds).go())
            print("  held" if not faults else "  BROKEN: " + "\n  ".join(faults))
            has_failed = has_failed or bool(faults)
    return has_failed


if __name__ == "__main__":
    sys.exit(main())
