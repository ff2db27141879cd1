"""Charts: what they say, and that they are well-formed and hold neither style nor script."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.inbox.charts import Mark, Series, bar_chart, period_name, sparkline, summary

NOON = 1_790_000_000 // 86400 * 86400 + 43200
HOSTILE = "</title></svg><script>alert(1)</script>\u202e\x00\x1b&quot;"


def elements(svg: str) -> list[ElementTree.Element]:
    """Those of a chart, which is well-formed and has no attribute that a policy forbids."""
    found = list(ElementTree.fromstring(svg).iter())
    assert {each.tag for each in found} <= {"svg", "path", "title"}
    for each in found:
        assert not [name for name in each.attrib if name == "style" or name.startswith("on")]
    return found


@pytest.mark.parametrize(
    ("counts", "unit", "words"),
    [
        ([0] * 24, "hour", "none in 24 hours"),
        ([0] * 22 + [30, 12], "hour", "42 in 24 hours, at most 30 in an hour"),
        ([1000], "day", "1,000 in one day, at most 1,000 in a day"),
        ([], "day", "none in 0 days"),
    ],
)
def test_a_chart_has_its_numbers_in_words(counts: list[int], unit: str, words: str) -> None:
    assert summary(counts, unit) == words
    assert elements(sparkline(counts, unit=unit))[0].attrib["aria-label"] == words


def test_a_series_ends_with_the_period_of_now() -> None:
    series = Series.until(NOON + 59, 60, 3, {NOON // 60: 7, NOON // 60 - 2: 1, NOON // 60 - 3: 9})
    assert series.counts == (1, 0, 7)
    assert series.periods == [("11:58", 1), ("11:59", 0), ("12:00", 7)]
    assert series.end == NOON + 60


def test_bars_are_as_high_as_their_counts_and_the_least_is_seen() -> None:
    chart = bar_chart(Series(NOON, 3600, (0, 1000, 500, 1)))
    bars = [each for each in elements(chart) if each.attrib.get("class") == "bar"]
    assert [bar.attrib["d"] for bar in bars] == [
        "M11 100v-100h8V100z",
        "M21 100v-50h8V100z",
        "M31 100v-3h8V100z",
    ]
    assert [bar[0].text for bar in bars] == ["13:00: 1,000", "14:00: 500", "15:00: 1"]


def test_marks_are_at_their_times_and_others_are_left_out() -> None:
    marks = [
        Mark(NOON + 1800, "release", "v1.2"),
        Mark(NOON + 7199, "resolve", "resolved by Zoë"),
        Mark(NOON - 1, "release", "before"),
        Mark(NOON + 7200, "release", "after"),
    ]
    chart = bar_chart(Series(NOON, 3600, (1, 1)), marks=marks, usual=0.5)
    lines = [each for each in elements(chart) if "stroke" in each.attrib]
    assert [line[0].text for line in lines] == ["v1.2", "resolved by Zoë", "usual: 0.5"]
    assert lines[0].attrib["d"] == "M5 0V100"
    assert lines[2].attrib["d"] == "M0 50H20"
    assert lines[0].attrib["stroke-dasharray"] != lines[1].attrib["stroke-dasharray"]


def test_the_name_of_a_release_is_text() -> None:
    chart = bar_chart(Series(NOON, 60, (1,)), marks=[Mark(NOON, "release", HOSTILE)])
    title = elements(chart)[-1]
    assert title.text == "</title></svg><script>alert(1)</script>\\u202e\\x00\\x1b&quot;"


@given(st.lists(st.integers(0, 2**63 - 1), max_size=70), st.floats(0, 1e12))
def test_any_counts_make_a_chart(counts: list[int], usual: float) -> None:
    for chart in (sparkline(counts), bar_chart(Series(NOON, 60, tuple(counts)), usual=usual)):
        assert elements(chart)[0].tag == "svg"


@pytest.mark.parametrize("at", [-1e30, 1e30, 0.0])
def test_any_time_has_a_name(at: float) -> None:
    assert period_name(at, 60).count(":") == 1
