"""The libraries that only the microblog needs are an extra."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT = """
import importlib.util, runpy, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "wtforms" else find(name, *rest)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
QUART = str(Path(sys.executable).with_name("quart"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [[str(ROOT / "run.py")], [QUART, "--app", "quartapp", "routes"]]
)
def test_without_them_a_sentence_says_what_to_install(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('Error: The microblog needs the extra "microblog": pip install "')
    assert done.stderr.count("\n") == 1
