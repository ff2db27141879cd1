"""`python -m benchmarks [--scenario index] [--servers uvicorn granian] [--again]`.

Without options it measures everything, pinned and unpinned, and renews the documents. Every row is
written to results/local.json when it is known.
"""

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace

from benchmarks import report, results, special
from benchmarks.cells import THREADS, measure_cell
from benchmarks.compare import differences
from benchmarks.databases import admin_address, prepared
from benchmarks.results import LATEST, LOCAL, Row
from benchmarks.scenarios import NAMES, SCENARIOS, SPECIAL, loads
from benchmarks.servers import CORES, QUARTAPP, TWIN_BIN, TWINS, Servers

DATABASES = ("sqlite", "postgresql")
ROUNDS, SECONDS, MINUTES = 3, 3, 25
REPEATS = 2


@dataclass(frozen=True)
class Step:
    """A part of the run: its rows are measured together, and again if one of them is noisy."""

    name: str
    database: str
    pinned: bool
    concurrency: int
    seconds: float = 0

    def __str__(self) -> str:
        how = "pinned" if self.pinned else "unpinned"
        return f"{self.name} {self.database} {how} c={self.concurrency}"

    def owns(self, row: Row) -> bool:
        return (
            row["scenario"] in SPECIAL.get(self.name, (self.name,))
            and row["database"] == self.database
            and row["pinned"] == self.pinned
            and row["concurrency"] == self.concurrency
        )


class Run:
    """The rows so far, and the time that is left."""

    def __init__(self, steps: list[Step], rows: list[Row], options: argparse.Namespace) -> None:
        self.rows, self._steps, self.options = rows, steps, options
        self._left = [step for step in steps if not self.is_done(step)]
        self._total = len(self._left)
        self._estimated, self._started = 0.0, time.monotonic()

    @property
    def is_short(self) -> bool:
        return bool(self.options.rounds < ROUNDS or self.options.seconds < SECONDS)

    def problems(self, step: Step) -> list[str]:
        mine = [row for row in self.rows if step.owns(row)]
        if not mine:
            return [f"{step}: not measured"]
        return [why for row in mine if (why := results.problem(row))]

    def all_problems(self) -> list[str]:
        return [why for step in self._steps for why in self.problems(step)]

    def is_done(self, step: Step) -> bool:
        return not self.problems(step)

    def measure(self, step: Step, servers: Servers) -> None:
        """Measure a step, perhaps again. If it fails, the others are measured all the same."""
        try:
            found = [row | {"short": self.is_short} for row in _rows(step, servers, self.options)]
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"{step} failed: {error}", flush=True)
            found = []
        rows = [row for row in self.rows if not step.owns(row)] + found
        self.rows = [row for step in self._steps for row in rows if step.owns(row)]
        results.save(self.rows, LOCAL)
        self._estimated += step.seconds
        if step in self._left:
            self._left.remove(step)
        shown = ", ".join(f"{row['server']} {row['rps']:.5g}/s" for row in found)
        print(
            f"[{self._total - len(self._left)}/{self._total}] {step}: {shown}; "
            f"{self.seconds_left() / 60:.0f} minutes left",
            *self.problems(step),
            sep="\n    ",
            flush=True,
        )

    def seconds_left(self) -> float:
        pace = (time.monotonic() - self._started) / self._estimated if self._estimated else 1.0
        return pace * sum(step.seconds for step in self._left)

    def has_time_for(self, step: Step) -> bool:
        used = time.monotonic() - self._started
        return bool(used + self.seconds_left() + step.seconds < self.options.minutes * 60)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    if said := missing():
        print(said)
        return 1
    databases = [each for each in DATABASES if options.only in {None, each}]
    if "postgresql" in databases and not admin_address():
        print("No PostgreSQL: set QUARTAPP_TEST_POSTGRESQL to an address; its rows are skipped.")
        databases.remove("postgresql")
    steps = [step for step in plan(options) if step.database in databases]
    run = Run(steps, results.load(LOCAL) if options.again else [], options)
    if options.again and not run.rows:
        print(f"Nothing in {LOCAL} is of this commit, CPU and Python: everything is measured.")
    print(*results.run().values(), f"{CORES} cores", sep=", ")
    print(f"{len(steps)} steps, about {run.seconds_left() / 60:.0f} minutes", flush=True)
    results.save(run.rows, LOCAL)
    try:
        for database in databases:
            measure([step for step in steps if step.database == database], run)
    except KeyboardInterrupt:
        print(f"\nInterrupted: what was measured is in {LOCAL}, the documents are unchanged.")
        return 130
    print("\n" + report.table(run.rows))
    if not options.scenario:
        print(report.summary(run.rows))
    return publish(run, databases)


def publish(run: Run, databases: list[str]) -> int:
    """Renew the tracked results and the documents, if this run may stand for them."""
    options, problems = run.options, run.all_problems()
    if options.scenario or run.is_short or len(databases) < len(DATABASES):
        print(f"Not the whole: written to {LOCAL} only.")
    elif problems:
        print(f"Not published, written to {LOCAL} only. On a quiet machine, with the same commit,")
        print("`make bench BENCH=--again` measures only these again:", *problems, sep="\n  ")
    else:
        report.publish(run.rows)
        print(f"Written to {LATEST} and into the documents.")
    return 1 if problems else 0


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--scenario", choices=NAMES)
    parser.add_argument("--only", choices=DATABASES)
    parser.add_argument("--servers", nargs="+", default=[], choices=["uvicorn", "granian"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--minutes", type=int, default=MINUTES, help="for repeats of noisy rows")
    parser.add_argument("--again", action="store_true", help="only what local.json lacks")
    return parser.parse_args(arguments)


def missing() -> str:
    if not shutil.which("wrk"):
        return "wrk is missing (Debian: apt-get install wrk): nothing can be measured."
    if not (TWIN_BIN / "gunicorn").exists():
        return "The environment of the synchronous version is missing: run 'make bench'."
    return ""


def plan(options: argparse.Namespace) -> list[Step]:
    """All steps in their order: by database, pinned first."""
    steps = []
    for database in DATABASES:
        for pinned in (True, False):
            for name, concurrency in loads(database):
                if options.scenario in {None, name}:
                    step = Step(name, database, pinned, concurrency)
                    steps.append(replace(step, seconds=_seconds(step, options)))
    return steps


def _seconds(step: Step, options: argparse.Namespace) -> float:
    if step.name in SPECIAL:
        return special.EXPECTED_SECONDS[step.name, step.database] * (1 if step.pinned else 0.75)
    others, choice = len(_others(step, options)), len(THREADS[step.concurrency])
    twins = 2 if step.pinned and step.concurrency <= 16 else 1
    rounds: float = (1 + twins + others) * options.rounds * (options.seconds + 0.3)
    return rounds + (1 + others + choice * twins) * 1.3


def _others(step: Step, options: argparse.Namespace) -> list[str]:
    """The other servers of quartapp. They are always measured where their share is largest."""
    if step.name == "ping" and step.concurrency == 16:
        return ["uvicorn", "granian"]
    return list(options.servers)


def _rows(step: Step, servers: Servers, options: argparse.Namespace) -> list[Row]:
    if step.name in SPECIAL:
        return special.MEASURES[step.name](servers, step.database)
    scenario = next(each for each in SCENARIOS if each.name == step.name)
    names = (QUARTAPP, *(f"quartapp-{each}" for each in _others(step, options)))
    load = scenario, step.database, step.concurrency
    return measure_cell(*load, servers, names, options.rounds, options.seconds)


def measure(steps: list[Step], run: Run) -> None:
    """Measure the steps of one database, and repeat noisy ones while there is time."""
    wanted = [step for step in steps if not run.is_done(step)]
    if not wanted:
        return
    with prepared(wanted[0].database) as (url, token):
        for pinned in (True, False):
            with Servers(url, token, pinned=pinned) as servers:
                group = [step for step in wanted if step.pinned == pinned]
                if group and pinned:
                    _require_equal_pages(servers)
                for step in group:
                    run.measure(step, servers)
                for _ in range(REPEATS):
                    for step in group:
                        if not run.is_done(step) and run.has_time_for(step):
                            run.measure(step, servers)


def _require_equal_pages(servers: Servers) -> None:
    for twin in TWINS:
        if found := differences(servers.get(QUARTAPP), servers.get(twin, 4), servers.token):
            sys.exit(f"The pages of {twin} differ, so nothing is timed:\n" + "\n".join(found))


if __name__ == "__main__":
    sys.exit(main())
