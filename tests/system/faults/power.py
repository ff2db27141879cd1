"""`python -m tests.system.faults.power`: the power fails after every system call of a run.

Two processes record, rotate, count, mail and prune under strace. `power_disk` says what the disk
may hold after each call; each such state is reopened with the real consumer. What was synced must
be counted once, what was not at most once, each counted error must have its mail in the outbox, and
nothing may fail at the start.

`--without CALL` leaves out one kind of sync, which must show; `--table` does so with each, and
prints the table of docs/report.md.
"""

import argparse
import asyncio
import hashlib
import logging
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from quartapp.database import DatabaseEngine
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.writer import Journal
from tests.system.faults import power_workload
from tests.system.faults.power_disk import SQLITE, Call, Disk, Recipe, calls_of, recipes
from tests.system.faults.power_workload import RULES, group

CALLS = {
    "segment": (
        "fdatasync of a segment",
        "what was recorded before the last 100 ms is on the disk",
    ),
    "name": ("fsync of the journal's folder", "so is the name of its segment"),
    "folder": ("fsync of the folders above", "so is the name of the journal"),
    "wal": ("fsync of SQLite's write-ahead log", "what was in a deleted segment is counted"),
    "deletion": ("fsync of the journal's folder after a deletion", "nothing is counted again"),
    SQLITE: ("fsync by SQLite at a checkpoint", "the database is whole"),
}
"""Each kind of sync by its label, and what it promises."""

_TRACED = (
    "openat,open,creat,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,unlink,unlinkat,"
    "rename,renameat,renameat2,ftruncate,truncate,fallocate,mkdir,mkdirat,rmdir,link,linkat,"
    "symlink,stat,newfstatat"
)


def strace() -> str:
    """The path of strace, or "" if it cannot trace here."""
    found = shutil.which("strace") or ""
    works = found and subprocess.run([found, "-o", os.devnull, "true"], capture_output=True)
    return found if works and works.returncode == 0 else ""


def record_trace(place: Path) -> None:
    """Run the workload in `place`/live under strace; what was there before is in `place`/base."""
    live = place / "live"
    live.mkdir(parents=True)
    asyncio.run(power_workload.prepare(live))
    shutil.copytree(live, place / "base")
    command = [strace(), "-f", "-y", "-xx", "-s", "1000000", "-o", str(place / "strace")]
    workload = [sys.executable, "-m", "tests.system.faults.power_workload", str(live)]
    subprocess.run([*command, "-e", f"trace={_TRACED}", *workload], check=True, timeout=300)


@dataclass
class Run:
    """The calls of a trace, and what each process had promised and begun at each of them."""

    base: dict[str, bytes]
    calls: list[Call]

    @classmethod
    def read(cls, place: Path) -> "Run":
        base = place / "base"
        files = {
            str(path.relative_to(base)): path.read_bytes()
            for path in base.rglob("*")
            if path.is_file()
        }
        with (place / "strace").open() as lines:
            calls = list(calls_of(lines, str(place / "live")))
        return cls(files, calls)


@dataclass
class Cut:
    """A moment: the groups that must be counted, and those that may be."""

    number: int = 0
    step: str = ""
    promised: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        kind, *numbers = text.split()
        if kind == "append":
            self.begun.add(group(int(numbers[0]), int(numbers[1])))
        elif kind == "synced":
            writer, written = map(int, numbers)
            self.promised |= {group(writer, number) for number in range(written)}
        elif kind == "step":
            self.step = text.removeprefix("step ")


@dataclass
class Outcome:
    """The states that were tried, those that differed, and what was wrong in how many of them."""

    cuts: int = 0
    states: int = 0
    different: int = 0
    broken: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        seen = f" {dict(self.wrong)}" if self.wrong else ""
        return (
            f"{self.cuts} cuts, {self.states:,} states, {self.different:,} of them not seen before,"
            f" {self.broken:,} broken{seen}"
        )

    def add(self, other: "Outcome") -> None:
        self.cuts += other.cuts
        self.states += other.states
        self.different += other.different
        self.broken += other.broken
        self.wrong.update(other.wrong)
        self.examples = other.examples | self.examples


class Opener:
    """Reopens states, one after the other at one path: one engine, which forgets its connections.

    What came of a state is remembered, as many states are the same.
    """

    Found = tuple[dict[str, int], set[str], str]

    def __init__(self, place: Path) -> None:
        self._place = place
        self._database = DatabaseEngine(f"sqlite:///{place / 'app.db'}", pool_size=1)
        self._known: dict[bytes, Opener.Found] = {}

    @property
    def different(self) -> int:
        return len(self._known)

    async def open(self, files: dict[str, bytes], folders: set[str]) -> Found:
        """How often each group is counted, which have a mail, and what failed."""
        digest = hashlib.blake2b(digest_size=16)
        for path in sorted(files):
            digest.update(f"{path}\n{len(files[path])}\n".encode())
            digest.update(files[path])
        digest.update(repr(sorted(folders)).encode())
        key = digest.digest()
        if key not in self._known:
            self._lay_out(files, folders)
            failure = ""
            try:
                consumer = Consumer(
                    Journal(self._place / "instance" / "journal"), self._database, RULES
                )
                while await consumer.consume():
                    pass
            except Exception as error:  # noqa: BLE001 - it is what this is about
                failure = f"{type(error).__name__}: {str(error)[:100]}"
            await self._database.dispose()
            self._known[key] = (*self._look(), failure)
        return self._known[key]

    def _lay_out(self, files: dict[str, bytes], folders: set[str]) -> None:
        for path in self._place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in sorted(folders):
            (self._place / folder).mkdir(exist_ok=True)
        for name, content in files.items():
            (self._place / name).write_bytes(content)

    def _look(self) -> tuple[dict[str, int], set[str]]:
        connection = sqlite3.connect(self._place / "app.db")
        mailed = "select fingerprint from error_groups g join error_alerts a on a.group_id = g.id"
        try:
            counts = dict(connection.execute("select fingerprint, count from error_groups"))
            return counts, {name for (name,) in connection.execute(mailed)}
        except sqlite3.Error:
            return {}, set()
        finally:
            connection.close()


def faults(cut: Cut, counts: dict[str, int], mailed: set[str], failure: str) -> Iterator[str]:
    if failure:
        yield "a start that fails"
    if cut.promised - counts.keys():
        yield "errors lost"
    if any(count > 1 for count in counts.values()):
        yield "errors counted twice"
    if counts.keys() - cut.begun:
        yield "errors that nobody recorded"
    if counts.keys() - mailed:
        yield "errors without a mail"


@dataclass(frozen=True)
class Plan:
    """How much to look at: every `stride`-th cut; of the pages at a time so many combinations
    `beyond` those of names; only from the last step `since` on; and with `stop` no more than the
    first broken state."""

    stride: int = 1
    beyond: int = 4
    since: str = ""
    stop: bool = False


async def explore(
    run: Run, opener: Opener, plan: Plan, *, without: str = "", share: tuple[int, int] = (0, 1)
) -> Outcome:
    """Look at the states of a share (which, of how many) of the cuts."""
    disk, cut, outcome, generator = Disk(run.base), Cut(), Outcome(), random.Random(share[0])
    before = opener.different
    steps = [number for number, call in enumerate(run.calls) if call.path == f"step {plan.since}"]
    begin = steps[-1] if plan.since else 0
    for number, call in enumerate(run.calls):
        if call.kind == "mark":
            cut.note(call.path)
            continue
        if without and call.label == without:
            continue
        newest = disk.apply(call)
        cut.number += 1
        if number < begin or cut.number % (share[1] * plan.stride) != share[0] * plan.stride:
            continue
        outcome.cuts += 1
        for recipe in recipes(disk.units(), newest, generator, plan.beyond):
            outcome.states += 1
            wrong = list(faults(cut, *await opener.open(*disk.content(recipe))))
            outcome.broken += bool(wrong)
            for fault in wrong:
                outcome.wrong[fault] += 1
                where = f"cut {cut.number}, {call.kind} {call.path} in {cut.step!r}"
                outcome.examples.setdefault(fault, f"{where}: {_shown(recipe)}")
            if plan.stop and wrong:
                break
        if plan.stop and outcome.broken:
            break
    outcome.different = opener.different - before
    return outcome


def _shown(recipe: Recipe) -> str:
    base = "all" if recipe.newest else "nothing"
    but = ", ".join(f"{tuple(unit)} as of version {of}" for unit, of in recipe.others.items())
    return f"{base} of what is not synced" + (f", but {but}" if but else "")


def search(place: Path, plans: dict[str, Plan], share: tuple[int, int]) -> dict[str, Outcome]:
    """Explore a share by the plan of each call to leave out ("" for none); in its own process."""
    logging.disable(logging.CRITICAL)
    run = Run.read(place)
    fast = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a disk in memory, for speed alone

    async def work(folder: Path) -> dict[str, Outcome]:
        opener = Opener(folder)
        return {
            without: await explore(run, opener, plan, without=without, share=share)
            for without, plan in plans.items()
        }

    with tempfile.TemporaryDirectory(dir=fast) as name:
        return asyncio.run(work(Path(name)))


def campaign(place: Path, plans: dict[str, Plan], processes: int = 2) -> dict[str, Outcome]:
    """The outcome of each plan for the trace in a folder."""
    totals = {without: Outcome() for without in plans}
    shares = [(number, processes) for number in range(processes)]
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawning) as pool:
        for outcomes in pool.map(partial(search, place, plans), shares):
            for without, outcome in outcomes.items():
                totals[without].add(outcome)
    return totals


def table(outcomes: dict[str, Outcome]) -> str:
    """The table of docs/report.md."""
    rows = ["| call | promise that it carries | states | broken without it |", "|---|---|--:|--:|"]
    for without, outcome in outcomes.items():
        call, promise = CALLS.get(without, ("(all of them)", "all of these"))
        seen = f" ({', '.join(sorted(outcome.wrong))})" if outcome.wrong else ""
        rows.append(f"| {call} | {promise} | {outcome.states:,} | {outcome.broken:,}{seen} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Let the power fail after every system call.")
    parser.add_argument("--without", choices=CALLS, help="leave out one kind of sync")
    parser.add_argument("--table", action="store_true", help="leave out each kind in turn")
    parser.add_argument("--beyond", type=int, default=4, help="more combinations of pages (4)")
    options = parser.parse_args()
    if not strace():
        print("skipped: no strace here, or it may not trace")
        return 0
    begun = time.monotonic()
    plans = {options.without or "": Plan(beyond=options.beyond)}
    if options.table:
        plans |= dict.fromkeys(CALLS, Plan(stride=6, beyond=2))
    with tempfile.TemporaryDirectory() as name:
        record_trace(Path(name))
        outcomes = campaign(Path(name), plans)
    for without, outcome in outcomes.items():
        print(f"{f'without {without}' if without else 'whole'}: {outcome}")
        for fault, example in outcome.examples.items():
            print(f"    {fault}: {example}")
    if options.table:
        print(table(outcomes))
    broken = outcomes[options.without or ""].broken
    print(f"{'BROKEN' if broken else 'held'} after {time.monotonic() - begun:.0f} s")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
