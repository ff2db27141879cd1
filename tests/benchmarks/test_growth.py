"""The growth benchmark saves each section by itself, so a failing part hides no other."""

from pathlib import Path

import pytest

from benchmarks import growth


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(growth, "GROWTH", tmp_path / "growth.md")
    return tmp_path / "growth.md"


def test_a_part_that_is_measured_again_replaces_its_section(results: Path) -> None:
    first = growth.Notes()
    first.begin("The floor", "old")
    first.begin("Posts", "kept")
    again = growth.Notes()
    again.begin("The floor", "| new |")
    text = results.read_text()
    assert "old" not in text
    assert text.count("## The floor\n\n| new |\n") == 1
    assert text.endswith("## Posts\n\nkept\n")


def test_a_part_that_fails_is_said_and_hides_no_other(results: Path) -> None:
    notes = growth.Notes()
    notes.begin("The floor", "| measured |")

    def fail() -> None:
        raise RuntimeError("it did not start:\nlong output")

    assert not growth.succeeds(fail, notes)
    assert growth.succeeds(lambda: None, notes)
    assert "| measured |\n\nFailed: it did not start:" in results.read_text()


def test_an_unknown_part_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["growth", "floors"])
    with pytest.raises(SystemExit):
        growth.main()
    assert "unknown part 'floors'" in capsys.readouterr().err
