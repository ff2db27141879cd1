"""The scripts of tests/system/faults as rows: they test parts of the application, without a server
or with one of their own, for longer or more closely than a `Fault` can."""

import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from tests.system.faults.table.row import Row

ROOT = Path(__file__).parents[4]


@dataclass(frozen=True)
class Script:
    name: str
    how: str
    module: str
    arguments: tuple[str, ...] = ()

    def run(self) -> Row:
        """Run it in a process of its own. What it prints is shown, and its last line is quoted."""
        row, began = Row(self.name, self.how, "both"), time.monotonic()
        command = [sys.executable, "-m", f"tests.system.faults.{self.module}", *self.arguments]
        last: deque[str] = deque(maxlen=2)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
        )
        assert process.stdout is not None
        for printed in process.stdout:
            print(f"    {printed}", end="", flush=True)
            last.append(printed.strip())
        row.seconds = time.monotonic() - began
        row.told = last[0] if last else ""
        if process.wait():
            row.wrong.append(" ".join(last))
        elif last and last[-1].startswith("skipped"):
            row.skipped = last[-1]
        return row


SCRIPTS = (
    Script(
        "servers killed again and again", "SIGKILL under load, 30 times", "kill_workers", ("30",)
    ),
    Script(
        "two consumers killed",
        "SIGKILL before a random statement, 15 rounds",
        "kill_consumers",
        ("15",),
    ),
    Script(
        "a storm of errors",
        "10^6 of one group, 10^5 groups, 1.5 * 10^6 unread",
        "storm",
        ("1000000", "100000", "1500000"),
    ),
    Script(
        "no database for long",
        "cut, locked, COMMITs cut",
        "database_down",
        (os.environ.get("MINUTES") or "1",),
    ),
    Script("three machines, one database", "the same errors on each, 20 s", "machines", ("20",)),
    Script("no room for the journal", "a tmpfs of 2.5 MB: full, read-only, away", "full_disk"),
    Script("a mail server that takes 2 s", "300 new errors meanwhile", "slow_mail", ("2",)),
)
