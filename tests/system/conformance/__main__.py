"""Run Flask's own tests against `App`: `make conformance`.

The tests are in Flask's source distribution, which pip downloads: once that of the locked version,
and that of the newest release. The table in docs/conformance.md has each test that fails, with its
reason, and no other.

Exit codes: 0 as the table says, 1 another result, 3 the distribution could not be downloaded.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.system.upstream import locked

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "docs" / "conformance.md"
CACHE = Path(sys.prefix) / "conformance"
NOT_DOWNLOADED = 3


class NotDownloadedError(Exception):
    """There is no network, or no such version; the message is pip's."""


@dataclass(frozen=True)
class Outcome:
    """Of one run: pytest's last line, and the tests that failed, without parameters."""

    summary: str
    failed: frozenset[str]


def main() -> int:
    version = locked()["flask"]
    try:
        distributions = {version: fetch(version)}
        newest = fetch(None)
    except NotDownloadedError as error:
        print(f"Flask's tests could not be downloaded, so nothing was run: {error}")
        return NOT_DOWNLOADED
    if newest != distributions[version]:
        distributions[newest.name.removesuffix(".tar.gz").removeprefix("flask-")] = newest
    expected = expected_failures(TABLE.read_text("utf-8"))
    code = 0
    for name, archive in distributions.items():
        outcome = run(archive)
        print(f"Flask {name}: {outcome.summary}")
        for line in differences(outcome.failed, expected):
            print(f"  {line}")
            code = 1
    return code


def fetch(version: str | None) -> Path:
    """Flask's source distribution of *version*, or of the newest release.

    A version is downloaded once. Raises NotDownloadedError.
    """
    if version is not None and (found := CACHE / f"flask-{version}.tar.gz").exists():
        return found
    CACHE.mkdir(parents=True, exist_ok=True)
    requirement = "flask" if version is None else f"flask=={version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    with tempfile.TemporaryDirectory() as folder:
        command = [*pip, *options, "--dest", folder, requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("flask-*.tar.gz"))
        if done.returncode or not archives:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise NotDownloadedError((errors or ["pip found none"])[-1])
        return Path(shutil.move(archives[0], CACHE / archives[0].name))


def run(archive: Path) -> Outcome:
    """Run the tests of a distribution, with `import flask` giving flasklike."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        [unpacked] = Path(folder).iterdir()
        # "tests" is the name of this project's tests too, of which the adapter is one.
        tests = (unpacked / "tests").rename(Path(folder) / "flask_tests")
        (Path(folder) / "pytest.ini").write_text("[pytest]\nfilterwarnings = default\n")
        command = [sys.executable, "-m", "pytest", "-p", "tests.system.conformance.adapter"]
        options = [
            "-q",
            "--timeout",
            "60",
            "-p",
            "no:cacheprovider",
            f"--ignore={tests}/type_check",
        ]
        done = subprocess.run(
            [*command, *options, str(tests)],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?(\w+)\.py(?:::(\S+))?", done.stdout, re.MULTILINE)
    summary = re.findall(r"^.*\d+ passed.* in .*$", done.stdout, re.MULTILINE)
    if not summary:
        return Outcome(
            f"no result\n{done.stdout[-2000:]}{done.stderr[-2000:]}", frozenset({"pytest"})
        )
    return Outcome(summary[-1].strip("= "), frozenset(_without_parameters(failed)))


def _without_parameters(failed: Iterable[tuple[str, str]]) -> Iterable[str]:
    for module, test in failed:
        yield f"{module}.{test.partition('[')[0].rpartition('::')[2]}" if test else module


def expected_failures(text: str) -> frozenset[str]:
    """The tests in the first column of the table."""
    rows = re.findall(r"^\| (`test_.*?) \|", text, re.MULTILINE)
    return frozenset(name for row in rows for name in re.findall(r"`([\w.]+)`", row))


def differences(failed: frozenset[str], expected: frozenset[str]) -> list[str]:
    """What the table does not say, and what it says wrongly."""
    return [
        *(
            f"{name} fails, and docs/conformance.md has no reason"
            for name in sorted(failed - expected)
        ),
        *(
            f"{name} passes: remove it from docs/conformance.md"
            for name in sorted(expected - failed)
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
