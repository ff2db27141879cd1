"""`python -m tests.system.upstream PYTHON`: whether we work with the newest releases of libraries.

Makes two environments with that interpreter, in .venv-upstream: one with the newest releases that
the ranges of pyproject.toml allow, one with the newest of all; and one with the interpreter that
runs this and the oldest releases of flasklike's libraries that the ranges allow. Runs the tests of
flasklike, of the comparison with Flask and of the debugger in each, and prints tables in Markdown.
It goes on if a library cannot be installed or imported: that is a result.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-upstream"
SUITES = ("tests/flasklike", "tests/system/parity", "tests/debugger")
FAILURES_SHOWN = 40
OF_FLASKLIKE = (
    "quart",
    "flask",
    "werkzeug",
    "jinja2",
    "markupsafe",
    "itsdangerous",
    "blinker",
    "click",
    "greenlet",
    "hypercorn",
)
"""What quartapp/flasklike imports; its README has the ranges."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one environment: its versions, pytest's last line, and the failures."""

    versions: dict[str, str]  # of python too
    result: str
    failures: tuple[str, ...] = ()


def main(python: str) -> None:
    requirements = [*libraries(), *_pyproject()["dependency-groups"]["dev"]]
    outcomes = {
        "oldest in our ranges": examine("oldest", sys.executable, list(map(oldest, requirements))),
        "in our ranges": examine("ranges", python, requirements),
        "newest of all": examine("newest", python, [_bare(each) for each in requirements]),
    }
    print(table(locked(), outcomes))


def libraries() -> list[str]:
    """The requirements of the package: the base and its extras."""
    project = _pyproject()["project"]
    extras = project.get("optional-dependencies", {}).values()
    return [*project["dependencies"], *(each for extra in extras for each in extra)]


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def examine(kind: str, python: str, requirements: Iterable[str]) -> Outcome:
    """Install these requirements into a new environment, and run the suites in it."""
    folder = FOLDER / kind
    own = folder / "bin" / "python"
    steps = (
        [python, "-m", "venv", "--clear", str(folder)],
        [str(own), "-m", "pip", "install", "--quiet", "--upgrade", "pip"],
        [str(own), "-m", "pip", "install", "--quiet", *requirements],
        [
            str(own),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "-e",
            ".",
        ],
    )
    for step in steps:
        print(f"{kind}: {' '.join(step[1:5])} ...", file=sys.stderr)
        done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return Outcome({}, f"not installed: {_last_line(done.stderr)}")
    listed = subprocess.run(
        [str(own), "-m", "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    versions = {_canonical(each["name"]): each["version"] for each in json.loads(listed.stdout)}
    asked = subprocess.run([str(own), "--version"], capture_output=True, text=True, check=True)
    versions["python"] = asked.stdout.split()[-1]
    print(f"{kind}: {' '.join(SUITES)} ...", file=sys.stderr)
    command = [str(own), "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *SUITES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    failures = re.findall(r"^(?:FAILED|ERROR) (.+)$", done.stdout, re.MULTILINE)
    result = _last_line(done.stdout) or _last_line(done.stderr)
    return Outcome(versions, result, tuple(failures))


def locked() -> dict[str, str]:
    """The versions that the project is developed with."""
    text = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    return {_canonical(name): v for name, v in re.findall(r"^([\w.-]+)==([^ \\;]+)", text, re.M)}


def table(pins: dict[str, str], outcomes: dict[str, Outcome]) -> str:
    """The result as Markdown: libraries whose versions differ, then the results of the tests."""
    names = ["python", *sorted({_canonical(_bare(each)) for each in libraries()})]
    lines = [
        f"As of {datetime.now(UTC):%Y-%m-%d}.",
        "",
        f"| library | locked | {' | '.join(outcomes)} |",
        f"|---|---|{'---|' * len(outcomes)}",
    ]
    for name in names:
        found = [outcome.versions.get(name, "-") for outcome in outcomes.values()]
        lines.append(f"| {name} | {pins.get(name, '-')} | {' | '.join(found)} |")
    lines += ["", "| environment | tests |", "|---|---|"]
    lines += [f"| {kind} | {outcome.result} |" for kind, outcome in outcomes.items()]
    for kind, outcome in outcomes.items():
        if outcome.failures:
            lines += ["", f"Failures with the {kind}:", ""]
            lines += [f"- {each}" for each in outcome.failures[:FAILURES_SHOWN]]
            if left := len(outcome.failures) - FAILURES_SHOWN:
                lines += [f"- and {left} more"] if left > 0 else []
    return "\n".join(lines)


def oldest(requirement: str) -> str:
    """The oldest release of a requirement of flasklike; other requirements as they are."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+)>=([\d.]+)(,<[\d.]+)?", requirement)
    if found is None or found[1] not in OF_FLASKLIKE:
        return requirement
    return f"{found[1]}=={found[2]}"


def _bare(requirement: str) -> str:
    """A requirement without its range, with its extras."""
    found = re.match(r"[A-Za-z0-9._-]+(?:\[[\w,-]+\])?", requirement)
    assert found is not None
    return found[0]


def _canonical(name: str) -> str:
    found = _NAME.match(name)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip("= ") if lines else ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
