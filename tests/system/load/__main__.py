"""`python -m tests.system.load [--minutes M] [--connections N] [--postgresql URL]`.

Mixed traffic with one percent of errors, and a restart after half of the time. It holds if nobody
is left without an answer, no 5xx comes but the errors asked for and refusals with Retry-After,
every acknowledged post is in the database once, every error that a client received is counted, and
memory and open files of the workers stay as they were.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.system.load.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.load")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--database", default="", help="an empty database (default: SQLite)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/load.db"
        outcome = asyncio.run(
            run(Path(folder), url, options.minutes * 60, options.connections, say=print)
        )
    print("held" if outcome.is_right else "BROKEN: " + "; ".join(outcome.faults))
    return not outcome.is_right


if __name__ == "__main__":
    sys.exit(main())
