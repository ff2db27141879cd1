"""The documents show what was measured, and say which aims are missed by how much."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report, results
from benchmarks.scenarios import AIMS
from benchmarks.servers import QUARTAPP, TUNED, TUTORIAL

LATEST = json.loads(results.LATEST.read_text("utf-8"))


def row(server: str, **more: Any) -> dict[str, Any]:
    keys = {"scenario": "index", "database": "sqlite", "pinned": True, "concurrency": 16}
    figures = {"rps": 1, "cpu_us": 1500, "p99_ms": 40, "ratios": {}}
    return keys | figures | {"server": server} | more


def test_the_documents_are_those_of_the_tracked_results() -> None:
    parts = {"performance": report.performance(LATEST), "readme": report.readme(LATEST)}
    for name, path in report.DOCUMENTS.items():
        text = path.read_text("utf-8")
        assert parts[name] in text, f"{name}: make bench writes it"
        assert report.with_part(text, parts[name]) == text
    assert (results.FOLDER / report.CHART).read_text("utf-8") == report.chart(LATEST)


def test_the_tracked_results_are_of_one_run() -> None:
    assert len({tuple(row[key] for key in results.run()) for row in LATEST}) == 1


def test_every_aim_of_the_results_is_judged() -> None:
    lines = report.aims(LATEST).splitlines()[2:]
    assert all(line.endswith(("| met |", " % |", "| missed |")) for line in lines)
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines} == {aim.page for aim in AIMS}


@pytest.mark.parametrize(
    ("figures", "verdicts"),
    [
        ({"ratios": {TUNED: 2.1}, "cpu_us": 1550, "p99_ms": 80}, ["met", "met", "met"]),
        ({"ratios": {TUNED: 1.05}, "cpu_us": 1705, "p99_ms": 81},
         ["missed by 50 %", "missed by 10 %", "missed by 1 %"]),
    ],
)  # fmt: skip
def test_an_aim_is_met_or_missed_by_how_much(figures: Any, verdicts: list[str]) -> None:
    rows = [row(QUARTAPP, **figures), row(TUNED, p99_ms=80)]
    assert [verdict for _, verdict in report.judged(AIMS[0], rows)] == verdicts
    assert [verdict for _, verdict in report.judged(AIMS[0], [])] == ["missed"]


def test_the_better_of_two_servers_counts() -> None:
    slow = row("quartapp-uvicorn", scenario="ping", ratios={TUNED: 0.9}, cpu_us=300)
    fast = row("quartapp-granian", scenario="ping", ratios={TUNED: 1.4}, cpu_us=190)
    tuned = row(TUNED, scenario="ping")
    page = "ping, uvicorn or granian"
    for rows in ([slow, fast, tuned], [fast, tuned]):
        assert [aim.server for aim in report.pages(rows)[page]] == ["quartapp-granian"]


def test_the_chart_shows_both_ways_in_the_colours_of_the_reader() -> None:
    rows = [
        row(QUARTAPP, ratios={TUTORIAL: 9.87, TUNED: 1.23}),
        row(QUARTAPP, ratios={TUNED: 4.56}, pinned=False),
    ]
    text = report.chart(rows)
    figures = [each.text for each in ET.fromstring(text).iter() if each.get("class") == "figure"]
    assert figures == ["1.23", "4.56"]
    assert "prefers-color-scheme: dark" in text
    assert text.count("http") == 1  # the namespace: nothing is loaded
