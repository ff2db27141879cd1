"""Results: a row for each server under one load, with where and when it was measured."""

import functools
import json
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load import Measurement
from benchmarks.servers import QUARTAPP, ROOT, TWINS, Server

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
LOCAL = FOLDER / "local.json"
MOST_SPREAD = 0.15

Row = dict[str, Any]


def row(
    scenario: str,
    database: str,
    concurrency: int,
    server: Server,
    rounds: Sequence[Measurement],
    label: str = "",
) -> Row:
    """The medians of some rounds."""
    rps = statistics.median(each.rps for each in rounds)
    return {
        "scenario": scenario,
        "server": label or server.name,
        "database": database,
        "concurrency": concurrency,
        "pinned": server.pinned,
        "rps": round(rps, 3 if rps < 10 else 1),
        "p50_ms": round(statistics.median(each.p50_ms for each in rounds), 2),
        "p99_ms": round(statistics.median(each.p99_ms for each in rounds), 2),
        "p999_ms": round(statistics.median(each.p999_ms for each in rounds), 2),
        "cpu_us": round(statistics.median(each.cpu_us for each in rounds)),
        "memory_mb": round(server.memory_bytes() / 1e6, 1) if server.is_running() else None,
        "errors": sum(each.errors for each in rounds),
        "spread": round(spread([each.rps for each in rounds]), 3),
        "rounds": len(rounds),
        "threads": server.threads,
        "ratios": {},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        **run(),
    }


def spread(rounds: Sequence[float]) -> float:
    """The distance of the extremes from the median. Of more than three rounds, one disturbed round
    at each end does not count."""
    ordered = sorted(rounds)
    middle = statistics.median(ordered)
    if len(ordered) > 3:
        ordered = ordered[1:-1]
    return max(ordered[-1] - middle, middle - ordered[0]) / middle if middle else 0.0


@functools.cache
def run() -> dict[str, str]:
    """What rows must have in common to be compared: commit, CPU and Python."""
    changed = _output("git", "status", "--porcelain", "--", "quartapp", "requirements.lock")
    return {
        "commit": _output("git", "rev-parse", "--short", "HEAD") + ("+changes" if changed else ""),
        "cpu": next(
            (
                line.partition(":")[2].strip()
                for line in _output("lscpu").splitlines()
                if line.startswith("Model name")
            ),
            platform.machine(),
        ),
        "python": platform.python_version(),
    }


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def add_ratios(rows: list[Row]) -> list[Row]:
    """Add the ratios to the twins to the rows that were measured in turn."""
    for row in rows:
        for twin in TWINS:
            other = next((each for each in rows if each["server"] == twin), None)
            if other and other["rps"]:
                row["ratios"][twin] = round(row["rps"] / other["rps"], 2)
    return rows


def problem(row: Row) -> str:
    """Why a row may not be published, or "".

    A twin without a free thread answers now and then: its spread in special scenarios is no sign
    of a busy machine.
    """
    where = f"{row['scenario']} {row['database']} c={row['concurrency']} "
    where += f"{'pinned' if row['pinned'] else 'unpinned'} {row['server']}: "
    if row["errors"]:
        return where + f"{row['errors']} unexpected errors"
    if row["spread"] > MOST_SPREAD and ("alone" not in row["ratios"] or row["server"] == QUARTAPP):
        return where + f"spread {row['spread']:.0%}"
    return ""


def load(path: Path) -> list[Row]:
    """The rows of a file that were measured with this commit, CPU and Python, in full length."""
    rows: list[Row] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return [row for row in rows if run().items() <= row.items() and not row.get("short")]


def save(rows: list[Row], path: Path) -> None:
    path.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
