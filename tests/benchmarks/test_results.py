"""Results are merged by their keys, and say which aims were reached."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.load import Measurement


def measured(server: str, rps: float, scenario: str = "index") -> dict[str, Any]:
    rounds = [Measurement(rps * factor, 1, 2, 3, 0) for factor in (0.9, 1, 1.2)]
    return results.row(scenario, "sqlite", 16, server, rounds)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(results, "LATEST", tmp_path / "latest.json")
    return tmp_path


def test_a_row_holds_the_medians() -> None:
    row = measured("flask-twin", 100)
    assert (row["rps"], row["p99_ms"], row["spread"]) == (100, 2, pytest.approx(0.2))


def test_rows_are_merged_by_their_keys(folder: Path) -> None:
    results.merge([measured("flask-twin", 100), measured("flask-tuned", 150)])
    results.merge([measured("flask-twin", 200), measured("flask-twin", 1, "profile")])
    rows = json.loads((folder / "latest.json").read_text())
    assert [(row["scenario"], row["server"], row["rps"]) for row in rows] == [
        ("index", "flask-twin", 200),
        ("index", "flask-tuned", 150),
        ("profile", "flask-twin", 1),
    ]


@pytest.mark.parametrize(("rps", "verdict"), [(300, "3.0: met"), (150, "3.0: missed by 50%")])
def test_the_table_and_the_chart_say_what_was_reached(
    folder: Path, rps: float, verdict: str
) -> None:
    rows = [measured("quartapp-hypercorn", rps), measured("flask-twin", 100)]
    results.merge(results.add_ratios(rows))
    assert verdict in (folder / "latest.md").read_text()
    assert f"{rps / 100:.2f}" in (folder / "latest.svg").read_text()
