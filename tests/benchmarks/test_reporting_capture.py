"""The benchmark of a report's cost runs, and shows what our reports are compared with."""

import re
import subprocess
import sys
from pathlib import Path


def test_the_benchmark_compares_with_the_standard_library() -> None:
    command = [sys.executable, "-m", "benchmarks.reporting_capture", "--rounds", "20"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    rows = re.findall(r"^(\w.*?)  +[\d.]+ +[\d.]+ +\d+  (YES|no)$", done.stdout, re.MULTILINE)
    assert rows == [
        ("standard library", "YES"),
        ("standard library with locals", "YES"),
        ("report, scrubbed, as JSON", "no"),
        ("fingerprint (a repeated error)", "no"),
    ]
