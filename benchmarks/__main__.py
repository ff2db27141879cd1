"""`python -m benchmarks [--scenario index] [--rounds 3] [--seconds 4] [--only sqlite]`."""

import argparse
import platform
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

from benchmarks import results, special
from benchmarks.compare import differences
from benchmarks.databases import admin_address, prepared
from benchmarks.load import Measurement, press
from benchmarks.results import Row, add_ratios, row
from benchmarks.scenarios import ALL, SCENARIOS, Scenario, prepare
from benchmarks.servers import CORES, TWIN_BIN, Server

THREADS = (4, 16, 64)
PROBE_SECONDS = 2


def main() -> int:
    options = _options()
    if missing := _missing():
        print(missing)
        return 1
    started = time.monotonic()
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {CORES} cores, {_cpu()}"
    )
    databases = ["sqlite"]
    if options.only != "sqlite" and not (options.scenario and not options.only):
        databases.append("postgresql")
    if "postgresql" in databases and not admin_address():
        print("No PostgreSQL: set QUARTAPP_TEST_POSTGRESQL to an address; its rows are skipped.")
        databases.remove("postgresql")
    if options.only == "postgresql":
        databases.remove("sqlite")
    rows: list[Row] = []
    for database in databases:
        rows += measure(database, options)
    print("\n" + results.table(rows))
    print(f"{time.monotonic() - started:.0f} seconds; written to {results.LATEST}")
    return 1 if any(each["errors"] for each in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--scenario", choices=ALL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    return parser.parse_args()


def _missing() -> str:
    if not shutil.which("wrk"):
        return "wrk is missing (Debian: apt-get install wrk): nothing can be measured."
    if not (TWIN_BIN / "gunicorn").exists():
        return "The environment of the synchronous version is missing: run 'make bench'."
    return ""


def _cpu() -> str:
    try:
        lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return platform.machine()
    found = [line for line in lines.splitlines() if line.startswith("Model name")]
    return found[0].partition(":")[2].strip() if found else platform.machine()


def measure(database: str, options: argparse.Namespace) -> list[Row]:
    """Measure all scenarios on one database; each result is written when it is known."""
    rows: list[Row] = []
    with prepared(database) as (url, token):
        wanted = [
            scenario
            for scenario in SCENARIOS
            if database in scenario.databases and options.scenario in {None, scenario.name}
        ]
        if wanted:
            with ExitStack() as stack:
                servers = _start(stack, url)
                _require_equal_pages(servers, token)
                for scenario in wanted:
                    for concurrency in scenario.concurrencies:
                        one = _row_group(scenario, database, concurrency, servers, token, options)
                        results.merge(one)
                        rows += one
        for name in special.NAMES[database]:
            if options.scenario in {None, name}:
                one = special.MEASURES[name](url)
                results.merge(one)
                rows += one
    return rows


def _start(stack: ExitStack, url: str) -> dict[str, list[Server]]:
    print(f"Starting the servers on {url.partition(':')[0]}", flush=True)
    servers = {"quartapp-hypercorn": [stack.enter_context(Server("quartapp-hypercorn", url))]}
    for twin in results.TWINS:
        servers[twin] = [
            stack.enter_context(Server(twin, url, threads=threads)) for threads in THREADS
        ]
    return servers


def _require_equal_pages(servers: dict[str, list[Server]], token: str) -> None:
    for twin in results.TWINS:
        if found := differences(servers["quartapp-hypercorn"][0], servers[twin][0], token):
            sys.exit(f"The pages of {twin} differ, so nothing is timed:\n" + "\n".join(found))


def _row_group(
    scenario: Scenario,
    database: str,
    concurrency: int,
    servers: dict[str, list[Server]],
    token: str,
    options: argparse.Namespace,
) -> list[Row]:
    """Measure the servers in turn, each twin with the number of threads that serves it best."""

    def once(server: Server, seconds: int) -> Measurement:
        headers, body = prepare(scenario, server, token)
        path, fails = scenario.path, scenario.fails
        return press(server, path, concurrency, seconds, headers, body=body, fails=fails)

    chosen: dict[str, Server] = {}
    for name, choice in servers.items():
        tried = {each: once(each, PROBE_SECONDS).rps for each in choice}
        chosen[name] = max(tried, key=lambda each: tried[each])
    rounds: dict[str, list[Measurement]] = {name: [] for name in chosen}
    for _ in range(options.rounds):
        for name, server in chosen.items():
            rounds[name].append(once(server, options.seconds))
    rows = [
        row(scenario.name, database, concurrency, name, rounds[name], server.threads)
        for name, server in chosen.items()
    ]
    add_ratios(rows)
    ratios = ", ".join(f"{each['server']} {each['rps']:.0f}/s" for each in rows)
    print(f"{scenario.name} {database} c={concurrency}: {ratios}; {rows[0]['ratios']}", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
