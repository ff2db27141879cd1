"""quartapp.testing in the suite of another application."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quartapp.testing import Clock

FOREIGN = Path(__file__).parent / "foreign"


@pytest.mark.slow
def test_the_fixtures_work_for_another_application(tmp_path: Path) -> None:
    shutil.copy(FOREIGN / "application.py", tmp_path / "conftest.py")
    shutil.copy(FOREIGN / "suite.py", tmp_path / "test_suite.py")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\n"
        "asyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "12 passed" in result.stdout


def test_a_clock_moves_when_it_is_moved() -> None:
    clock = Clock(datetime(2030, 1, 1, 12, tzinfo=UTC))
    assert clock() == clock() == datetime(2030, 1, 1, 12, tzinfo=UTC)
    clock.advance(minutes=2, seconds=-1)
    assert clock() == datetime(2030, 1, 1, 12, 1, 59, tzinfo=UTC)
