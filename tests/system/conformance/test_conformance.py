"""What `make conformance` makes of a run and of the table; the run itself needs a network."""

from pathlib import Path

import pytest

from tests.system.conformance import __main__ as conformance

TABLE = """
| tests | reason |
|---|---|
| `test_a.test_one`, `test_b.test_two` | `code` in a reason |
| `test_b.test_three` | another |
"""


def test_the_table_is_read() -> None:
    names = {"test_a.test_one", "test_b.test_two", "test_b.test_three"}
    assert conformance.expected_failures(TABLE) == names
    assert len(conformance.expected_failures(conformance.TABLE.read_text("utf-8"))) > 20


def test_new_differences_and_those_that_are_gone_are_reported() -> None:
    expected = frozenset({"test_a.test_one", "test_b.test_two"})
    assert conformance.differences(expected, expected) == []
    found = conformance.differences(frozenset({"test_a.test_one", "test_c.new"}), expected)
    assert [line.partition(" ")[0] for line in found] == ["test_c.new", "test_b.test_two"]
    assert "has no reason" in found[0]
    assert "passes: remove it" in found[1]


@pytest.mark.slow
def test_without_a_network_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conformance, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert conformance.main() == conformance.NOT_DOWNLOADED == 3
    assert "could not be downloaded, so nothing was run" in capsys.readouterr().out
