"""`python -m tests.system.faults.table [NAME ...] [--engine E] [--app A] [--without | --prove]`.

Rows whose fault has one of the names in its own; all of them without a name. The exit code is 1 if
anything is lost, doubled or leaked. `--app` chooses the application: the microblog, or a foreign
one (see `foreign`), of which there are fewer rows. With `--without` the protection of each fault is
removed, and with `--prove` losses and leaks are made on purpose: then each row must be red.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tests.system.faults.databases import POSTGRESQL
from tests.system.faults.table import broken, causes, endings, loads, places
from tests.system.faults.table.printed import line, table
from tests.system.faults.table.row import ENGINES, Fault, Row, run
from tests.system.faults.table.scripts import FOREIGN, SCRIPTS

FAULTS = (*causes.FAULTS, *endings.FAULTS, *places.FAULTS, *loads.FAULTS)
LIMIT = 28 * 60
"""Seconds after which no further row is begun."""


def chosen(options: argparse.Namespace) -> Sequence[Callable[[], Row]]:
    """What makes the rows."""
    if options.app == "foreign":
        return [script.run for script in FOREIGN if _is_named(script.name, options.names)]
    faults: Iterable[Fault] = broken.FAULTS if options.prove else FAULTS
    engines = [options.engine] if options.engine else list(ENGINES)
    if not POSTGRESQL:
        print("without PostgreSQL: QUARTAPP_TEST_POSTGRESQL is not set")
        engines = ["sqlite"]
    rows: list[Callable[[], Row]] = [
        partial(_run, fault, engine, options.without)
        for fault in faults
        for engine in engines
        if engine in fault.engines
        and _is_named(fault.name, options.names)
        and (not options.without or fault.without)
    ]
    if not (options.prove or options.without or options.engine):
        scripts = SCRIPTS if options.app else (*SCRIPTS, *FOREIGN)
        rows += [script.run for script in scripts if _is_named(script.name, options.names)]
    return rows


def _run(fault: Fault, engine: str, without: bool) -> Row:
    return asyncio.run(run(fault, engine, without))


def _is_named(name: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(part in name for part in wanted)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.faults.table")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--app", choices=("microblog", "foreign"), help="both without it")
    parser.add_argument("--without", action="store_true", help="remove each protection")
    parser.add_argument("--prove", action="store_true", help="lose and leak on purpose")
    options = parser.parse_args()
    for name in ("quartapp", "sqlalchemy", "mail.log"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    rows: list[Row] = []
    wanted, began = chosen(options), time.monotonic()
    for number, make in enumerate(wanted, 1):
        if time.monotonic() - began > LIMIT:
            print(f"BROKEN: {len(wanted) - number + 1} rows were not begun in {LIMIT} s")
            return 1
        row = make()
        rows.append(row)
        taken = time.monotonic() - began
        print(f"{number} of {len(wanted)}, after {taken:.0f} s: {line(row)}", flush=True)
    print(table(rows))
    if options.prove or options.without:
        blind = [row.name for row in rows if row.is_right and not row.skipped]
        print(f"BROKEN, not seen: {blind}" if blind else "held: each was seen")
        return bool(blind)
    held = all(row.is_right for row in rows)
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
