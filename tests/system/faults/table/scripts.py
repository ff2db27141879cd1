"""The scripts of tests/system/faults as rows: they test parts of the application, without a server
or with one of their own, for longer or more closely than a `Fault` can."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from tests.system.faults.table.row import Row

ROOT = Path(__file__).parents[4]
MINUTES = os.environ.get("MINUTES") or "1"
"""How long the database is away in `database_down`."""

LONGEST = 600.0
"""Seconds that a script may take, besides those minutes."""


@dataclass(frozen=True)
class Script:
    name: str
    how: str
    engine: str
    module: str
    arguments: tuple[str, ...] = ()

    def run(self) -> Row:
        """Run it in a process of its own. What it prints is shown, and its last line is quoted."""
        row, began = Row(self.name, self.how, self.engine), time.monotonic()
        command = [sys.executable, "-m", f"tests.system.faults.{self.module}", *self.arguments]
        last: deque[str] = deque(maxlen=2)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
        )
        assert process.stdout is not None
        clock = threading.Timer(LONGEST + 60 * float(MINUTES), process.kill)
        clock.start()
        for printed in process.stdout:
            print(f"    {printed}", end="", flush=True)
            last.append(printed.strip())
        clock.cancel()
        row.seconds = time.monotonic() - began
        row.told = last[0] if last else ""
        if process.wait():
            row.wrong.append(" ".join(last))
        elif last and last[-1].startswith("skipped"):
            row.skipped = last[-1]
        return row


SCRIPTS = (
    Script(
        "servers killed again and again",
        "SIGKILL under load, 30 times",
        "sqlite",
        "kill_workers",
        ("30",),
    ),
    Script(
        "two consumers killed",
        "SIGKILL before a random statement, 15 rounds",
        "both",
        "kill_consumers",
        ("15",),
    ),
    Script(
        "a storm of errors",
        "10^6 of one group, 10^5 groups, 1.5 * 10^6 unread",
        "sqlite",
        "storm",
        ("1000000", "100000", "1500000"),
    ),
    Script(
        "no database for long",
        "cut, locked, COMMITs cut",
        "both",
        "database_down",
        (MINUTES,),
    ),
    Script(
        "three machines, one database",
        "the same errors on each, 20 s",
        "postgresql",
        "machines",
        ("20",),
    ),
    Script(
        "no room for the journal", "a tmpfs of 2.5 MB: full, read-only, away", "sqlite", "full_disk"
    ),
    Script(
        "a mail server that takes 2 s", "300 new errors meanwhile", "sqlite", "slow_mail", ("2",)
    ),
)

FOREIGN = tuple(
    Script(f"another application: {name}", how, "sqlite", "foreign", arguments)
    for name, how, arguments in (
        ("killed again and again", "SIGKILL under load, 15 times", ("kill", "15")),
        ("a storm of errors", "2 * 10^5 of one group", ("storm", "200000")),
        ("a mail server that takes 2 s", "300 new errors meanwhile", ("slow", "2")),
        ("a disk that is full", "a tmpfs of 16 MB, filled, 3 * 10^4 errors", ("full", "30000")),
    )
)
"""`tests.system.faults.foreign`: `Reporting` and `QueuedSMTPHandler` in an application of Quart
that knows nothing of the microblog."""
