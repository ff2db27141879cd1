"""Rows say when and where they were measured, and which of them are too noisy to publish."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import report, results
from benchmarks.load import Measurement
from benchmarks.scenarios import AIMS, SCENARIOS
from benchmarks.servers import QUARTAPP, TUNED


def measured(name: str, *rps: float, scenario: str = "index", **more: Any) -> dict[str, Any]:
    server: Any = SimpleNamespace(name=name, pinned=True, threads=0, is_running=lambda: False)
    rounds = [Measurement(each, 1, 2, 3, 1000, 0) for each in rps]
    return results.row(scenario, "sqlite", 16, server, rounds) | more


def test_a_row_holds_the_medians_and_where_they_were_measured() -> None:
    row = measured("flask-twin", 90, 100, 120)
    assert (row["rps"], row["p999_ms"], row["spread"], row["rounds"]) == (100, 3, 0.2, 3)
    assert row["pinned"]
    assert all(row[key] for key in ("date", "commit", "cpu", "python"))


def test_one_disturbed_round_of_many_does_not_count() -> None:
    assert results.spread([50, 100, 100]) == pytest.approx(0.5)
    assert results.spread([50, 95, 100, 105, 300]) == pytest.approx(0.05)
    assert results.spread([0, 0, 0]) == 0


def test_noise_and_errors_are_problems() -> None:
    assert results.problem(measured(QUARTAPP, 90, 100, 114)) == ""
    assert results.problem(measured(QUARTAPP, 90, 100, 116)).endswith("spread 16%")
    assert "3 unexpected errors" in results.problem(measured(QUARTAPP, 100, errors=3))


def test_a_twin_that_gives_bystanders_nothing_is_not_noise() -> None:
    starved: dict[str, Any] = {"scenario": "ping beside queries", "ratios": {"alone": 0.1}}
    assert results.problem(measured(TUNED, 1, 5, 20, **starved)) == ""
    assert results.problem(measured(QUARTAPP, 1, 5, 20, **starved))


def test_rows_of_another_commit_are_not_continued(tmp_path: Path) -> None:
    mine = measured(QUARTAPP, 100)
    others = ({"commit": "another"}, {"cpu": "another"}, {"short": True})
    results.save([mine, *(mine | other for other in others)], tmp_path / "r")
    assert results.load(tmp_path / "r") == [mine]
    assert results.load(tmp_path / "none") == []


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    done: list[Any] = []
    monkeypatch.setattr(report, "publish", done.append)
    monkeypatch.setattr(bench, "LOCAL", tmp_path / "local.json")
    return done


def finish(*arguments: str, databases: tuple[str, ...] = bench.DATABASES, **row: Any) -> int:
    rows = [measured(QUARTAPP, 100, **row)]
    step = bench.Step("index", "sqlite", pinned=True, concurrency=16)
    return bench.publish(bench.Run([step], rows, bench.options_of([*arguments])), [*databases])


def test_a_quiet_run_of_everything_is_published(published: list[Any]) -> None:
    assert finish() == 0
    assert len(published) == 1


@pytest.mark.parametrize(
    "arguments", [["--scenario", "index"], ["--rounds", "2"], ["--seconds", "1"]]
)
def test_a_part_is_not_published(published: list[Any], arguments: list[str]) -> None:
    finish(*arguments)
    finish(databases=("sqlite",))
    assert published == []


def test_a_noisy_run_is_not_published(
    published: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(spread=0.2) == 1
    assert published == []
    assert "index sqlite c=16 pinned quartapp-hypercorn: spread 20%" in capsys.readouterr().out


def test_a_run_without_a_row_is_not_published(
    published: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(pinned=False) == 1
    assert published == []
    assert "index sqlite pinned c=16: not measured" in capsys.readouterr().out


def test_a_step_that_fails_does_not_end_the_run(
    published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the server did not start")

    monkeypatch.setattr(bench, "_rows", fail)
    step = bench.Step("index", "sqlite", pinned=True, concurrency=16)
    run = bench.Run([step], [], bench.options_of([]))
    run.measure(step, Any)  # type: ignore[arg-type]  # not used
    assert not run.is_done(step)


def test_an_interrupted_run_publishes_nothing(
    published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "missing", lambda: "")
    monkeypatch.setattr(bench, "measure", interrupt)
    assert bench.main(["--only", "sqlite"]) == 130
    assert published == []


def test_a_whole_run_measures_everything_both_ways_in_25_minutes() -> None:
    steps = bench.plan(bench.options_of([]))
    assert sum(step.seconds for step in steps) < 24 * 60
    pinned, unpinned = (
        [(step.name, step.database, step.concurrency) for step in steps if step.pinned == way]
        for way in (True, False)
    )
    assert pinned == unpinned
    assert {scenario.name for scenario in SCENARIOS} <= {step.name for step in steps}


def test_every_aim_is_measured() -> None:
    steps = bench.plan(bench.options_of([]))
    for aim in AIMS:
        row = {
            "scenario": aim.scenario,
            "database": aim.database,
            "pinned": aim.pinned,
            "concurrency": aim.concurrency,
        }
        assert any(step.owns(row) for step in steps), aim
