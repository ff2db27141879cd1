"""The test suites in docs/test.md pass, in a separate folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quartapp import testing
from quartapp.microblog import testing as microblog_testing

TEXT = (Path(__file__).parents[2] / "docs" / "test.md").read_text("utf-8")


@pytest.mark.slow
def test_the_suites_in_the_document_pass(tmp_path: Path) -> None:
    conftest, *suites = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    settings = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert settings is not None
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "pyproject.toml").write_text(settings[1])
    for number, suite in enumerate(suites):
        (tmp_path / f"test_{number}.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 passed" in result.stdout


def test_every_fixture_is_described_in_both_places() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    plugins = (testing, microblog_testing)
    docstrings = "\n".join(plugin.__doc__ or "" for plugin in plugins)
    described = re.findall(r"^\| `(\w+)` \|", docstrings, re.MULTILINE)
    fixtures = {
        name
        for plugin in plugins
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    }
    assert set(rows) == set(described) == fixtures
