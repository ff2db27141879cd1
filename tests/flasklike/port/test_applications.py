"""Two applications of Flask, ported by the tool alone: their own tests pass, in both modes.

Those of flaskr also pass if nothing but the names of its imports is changed.

`recipes` has the idioms of Flask's documentation, and its tests pass on Flask too (in its folder:
`python -m pytest -p no:asyncio`). `flaskr` is Flask's tutorial, from the source distribution of
Flask 3.1.3. `test_kept.py`, written for App, has what the tests of flaskr do not see, and what
ports by hand had lost.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quartapp.flasklike.port.command import run

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TESTS = {"recipes": 31, "flaskr": 24 + 3}
MODES = ("--async", "--plain")

RUN_ALL = """
import os, sys, pytest
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path.insert(0, folder)
    before = set(sys.modules)
    without = ["-p", "no:asyncio"] if folder.endswith("--imports") else []
    pytest.main(["-q", "-p", "no:cacheprovider", *without])
    sys.path.remove(folder)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and folder in sys.modules[name].__file__:
            del sys.modules[name]
"""


def code(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py")}


def with_other_imports(folder: Path) -> Path:
    """flaskr as it is, but for the names of its imports."""
    shutil.copytree(HERE / "applications" / "flaskr", folder)
    for path in folder.rglob("*.py"):
        text = re.sub(r"^from flask\b", "from quartapp.flasklike", path.read_text(), flags=re.M)
        path.write_text(text)
    return folder


@pytest.mark.slow
def test_their_own_tests_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / f"{name}{mode}" for name in TESTS for mode in MODES]
    for folder in folders:
        name, _, mode = folder.name.partition("--")
        shutil.copytree(HERE / "applications" / name, folder)
        if name == "flaskr":
            shutil.copy(HERE / "applications" / "test_kept.py", folder / "tests")
        assert run([str(folder), f"--{mode}"]) == 0
    once = code(folders[0])
    assert run([str(folders[0]), "--async"]) == 0
    assert code(folders[0]) == once, "a second run changes nothing"
    assert [run([str(folder), "--check"]) for folder in folders[::2]] == [0, 0]
    capsys.readouterr()
    folders.append(with_other_imports(tmp_path / "flaskr--imports"))
    done = subprocess.run(
        [sys.executable, "-B", "-c", RUN_ALL, *folders],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    passed = [line for line in done.stdout.splitlines() if " passed" in line]
    expected = [f"{TESTS[name]} passed in" for name in TESTS for _ in MODES] + ["24 passed in"]
    assert [line[: len("31 passed in")] for line in passed] == expected, done.stdout[-9000:]
