"""`python -m tests.system.dist TOOLS` fills dist/, checks it, and tries the wheel.

TOOLS is the interpreter of an environment with twine and check-wheel-contents. The wheel and what
it requires are installed in a new environment, in which the examples run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.dist import ROOT, build, copy_checkout

DIST = ROOT / "dist"
EXTRAS = "metrics,microblog,testing"
WITH_EXTRAS = ("test_metrics.py", "test_new.py", "test_testing.py", "test_wheel.py")
"""Tests of what needs these extras."""
OF_THE_FILE = "test_the_wheel_has_every_file_of_the_package"
"""A test that reads the wheel, and not what is installed."""


def main(tools: str) -> int:
    """Returns the exit code of the examples; raises CalledProcessError for what fails before."""
    with tempfile.TemporaryDirectory(prefix="dist-") as name:
        folder = Path(name)
        files = build(copy_checkout(folder / "first"), folder / "once")
        again = build(copy_checkout(folder / "second"), folder / "twice")
        for one, other in zip(files, again, strict=True):
            if one.read_bytes() != other.read_bytes():
                sys.exit(f"{one.name} has other bytes when it is built again.")
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        made = [Path(shutil.copy(path, DIST)) for path in files]
        subprocess.run([tools, "-m", "twine", "check", "--strict", *made], check=True)
        subprocess.run([tools, "-m", "check_wheel_contents", made[1]], cwd=ROOT, check=True)
        code = try_wheel(folder / "environment", made[1])
    for path in made:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{digest}  {path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")
    return code


def try_wheel(folder: Path, wheel: Path) -> int:
    """Install it with what it requires, and run the examples there; then those that need extras."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    tests = set((ROOT / "tests" / "examples").glob("test_*.py"))
    extras = {path for path in tests if path.name in WITH_EXTRAS}
    for wanted, chosen in ((str(wheel), tests - extras), (f"{wheel}[{EXTRAS}]", extras)):
        subprocess.run([*pip, "install", wanted], check=True)
        subprocess.run([*pip, "check"], check=True)
        code = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-k", f"not {OF_THE_FILE}", *sorted(chosen)],
            cwd=ROOT,
            env=os.environ | {"QUARTAPP_TEST_WHEEL": str(python)},
            check=False,
        ).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
