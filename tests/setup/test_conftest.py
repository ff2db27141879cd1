"""What the suite does for all of its tests."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tests.conftest import pytest_runtest_teardown

ROOT = Path(__file__).parents[2]


class Ring:
    """Something that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.slow
def test_what_a_test_has_not_closed_is_found_at_the_end(request: pytest.FixtureRequest) -> None:
    gc.disable()
    try:
        left = weakref.ref(Ring())
        pytest_runtest_teardown(request.node)
        assert left() is not None
        pytest_runtest_teardown(None)
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_process_that_crashes_names_its_test_and_ends_the_run(tmp_path: Path) -> None:
    """With a new process in its place it would crash again, and the run would never end."""
    (tmp_path / "test_one.py").write_text("import os\ndef test_dies():\n    os._exit(3)\n")
    (tmp_path / "test_two.py").write_text("def test_passes():\n    pass\n")
    options = ("-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile", "--rootdir", ".")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", *options, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "crashed while running 'test_one.py::test_dies'" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
