"""`python -m tests.system.groups OTHERS`: print the table; OTHERS is the Python of the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.system.groups.applications import CASES, FRAMEWORKS

APPLICATIONS = Path(__file__).with_name("applications.py")
ROOT = APPLICATIONS.parents[3]


def table(others: str) -> str:
    """The statuses of all cases on all frameworks, in Markdown."""
    columns: dict[str, dict[str, int]] = {}
    for name in FRAMEWORKS:
        python = sys.executable if name in {"App", "Quart"} else others
        result = subprocess.run(
            [python, "-W", "ignore", str(APPLICATIONS), name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        release, columns_of = json.loads(result.stdout.splitlines()[-1])
        columns[name if name == "App" else f"{name} {release}"] = columns_of
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for case in CASES:
        statuses = " | ".join(str(found[case]) for found in columns.values())
        lines.append(f"| {case} | {statuses} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(sys.argv[1]))
