"""`python -m benchmarks.growth [PART ...] [--budget 900]`: what one table of ratios cannot show.

The floor below every figure, other servers, many connections, memory per connection, many posts,
many errors. Each figure is printed when it is measured, and written to results/growth.md.
"""

import argparse
import platform
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from benchmarks import growth_connections, growth_data
from benchmarks.databases import prepared
from benchmarks.results import FOLDER
from benchmarks.servers import CORES

GROWTH = FOLDER / "growth.md"

SERVED: dict[str, Callable[..., None]] = {
    "floor": growth_connections.floor,
    "servers": growth_connections.servers,
    "memory": growth_connections.memory,
    "errors": growth_data.errors,
}
PARTS = (*SERVED, "posts")


class Notes:
    """Lines that are printed and stored in a Markdown file, with a section for each part.

    Measuring a part again replaces its section; the others stay.
    """

    def __init__(self) -> None:
        self._sections: dict[str, list[str]] = {}
        if GROWTH.exists():
            title = ""
            for line in GROWTH.read_text().splitlines():
                if line.startswith("## "):
                    title = line
                    self._sections[title] = []
                elif title:
                    self._sections[title].append(line)
        self._title = ""

    def begin(self, title: str, *lines: str) -> None:
        self._title = f"## {title}"
        self._sections[self._title] = [""]
        print(f"\n{self._title}\n", flush=True)
        self.add(*lines)

    def add(self, *lines: str) -> None:
        for line in lines:
            print(line, flush=True)
            self._sections[self._title].append(line)
        text = "# Growth\n\nMeasured with `make bench-growth`; "
        text += f"Python {platform.python_version()}, {CORES} cores.\n"
        for title, section in self._sections.items():
            text += f"\n{title}\n" + "\n".join(section).rstrip() + "\n"
        GROWTH.write_text(text)


def main() -> int:
    options = _options()
    started = time.monotonic()
    _allow_many_files()
    notes = Notes()
    failed = 0
    served = [part for part in options.parts if part in SERVED]
    if served:
        with prepared("sqlite") as (url, _):
            for part in served:
                if _is_time_left(part, started, options.budget):
                    failed += not succeeds(partial(SERVED[part], url, notes), notes)
    if "posts" in options.parts:
        for count in growth_data.POSTS:
            if _is_time_left(f"{count} posts", started, options.budget):
                failed += not succeeds(partial(growth_data.posts, count, notes), notes)
    print(f"\n{time.monotonic() - started:.0f} seconds; written to {GROWTH}")
    return 1 if failed else 0


def succeeds(part: Callable[[], None], notes: Notes) -> bool:
    """Measure a part. If it fails, say so; the other parts are measured all the same."""
    try:
        part()
    except (OSError, RuntimeError, subprocess.SubprocessError, SQLAlchemyError) as error:
        notes.add("", f"Failed: {str(error).splitlines()[0]}")
        traceback.print_exception(error)
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--budget", type=int, default=900, help="seconds, after which none begins")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    return options


def _is_time_left(part: str, started: float, budget: int) -> bool:
    if time.monotonic() - started < budget:
        return True
    print(f"{part}: skipped, the time is over (--budget {budget})")
    return False


def _allow_many_files() -> None:
    """A thousand connections are a thousand files, for the servers and for wrk."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
