"""The test suites in docs/test.md pass, in a separate folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quartapp import testing
from quartapp.microblog import testing as microblog_testing
from quartapp.testing import fixtures as plugin_fixtures
from tests.docs.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "test.md"
TEXT = PAGE.read_text("utf-8")


@pytest.mark.slow
def test_the_suites_in_the_document_pass(tmp_path: Path) -> None:
    blocks = [one for one in blocks_of(PAGE) if not one.comment]
    conftest, *suites = [one.text for one in blocks if one.language == "python"]
    [settings] = [one.text for one in blocks if one.language == "toml"]
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "pyproject.toml").write_text(settings)
    for number, suite in enumerate(suites):
        (tmp_path / f"test_{number}.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 passed" in result.stdout


def test_every_fixture_is_described_in_both_places() -> None:
    rows = re.findall(r"^\| `(?!test_)(\w+)` \|", TEXT, re.MULTILINE)
    documented = (testing, microblog_testing)
    docstrings = "\n".join(plugin.__doc__ or "" for plugin in documented)
    described = re.findall(r"^\| `(\w+)` \|", docstrings, re.MULTILINE)
    fixtures = {
        name
        for plugin in (plugin_fixtures, microblog_testing)
        for name, value in vars(plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition" and not name.startswith("_")
    }
    assert set(rows) == set(described) == fixtures
