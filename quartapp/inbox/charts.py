"""Counts as charts: SVG in the colour of the text around it, without style or script; pure.

The charts stretch to the width of their element, so text is beside them and not inside: see the
macro `figure` of templates/charts.html, which also has the counts as a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from quartapp.inbox.text import one_line

_HEIGHT = 100
_LEAST = 3
"""The height of a bar that would be too low to be seen."""

_BAR = 10
_GAP = 2
_UNITS = {60: "minute", 3600: "hour", 86400: "day"}
_EARLIEST, _LATEST = 0.0, 253402300799.0


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of consecutive periods of `step` seconds, the oldest first.

    The first period begins at `start`, in seconds since the epoch.
    """

    start: int
    step: int
    counts: tuple[int, ...]

    @classmethod
    def until(cls, now: float, step: int, length: int, found: Mapping[int, int]) -> "Series":
        """The last `length` periods, up to the one of `now`. `found` has counts by the number of
        the period, which counts from the epoch; what is missing is 0."""
        first = int(now // step) - length + 1
        return cls(
            first * step, step, tuple(found.get(first + place, 0) for place in range(length))
        )

    @property
    def end(self) -> int:
        """When the last period ends."""
        return self.start + self.step * len(self.counts)

    @property
    def unit(self) -> str:
        """What a period is called, such as "hour"."""
        return _UNITS.get(self.step, "period")

    @property
    def summary(self) -> str:
        """The chart in words: "42 in 24 hours, at most 12 in an hour"."""
        return summary(self.counts, self.unit)

    @property
    def periods(self) -> list[tuple[str, int]]:
        """The beginning of each period and its count."""
        return [
            (period_name(self.start + place * self.step, self.step), count)
            for place, count in enumerate(self.counts)
        ]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time, such as a release. `kind` becomes a class of the line."""

    at: float
    kind: str
    text: str


def sparkline(counts: Sequence[int], *, unit: str = "hour") -> Markup:
    """A row of bars, for a line of a list: 24 counts are 24 hours."""
    width = len(counts) * _BAR
    return Markup(
        '<svg class="sparkline" role="img" aria-label="{}" viewBox="0 0 {} {}"'
        ' preserveAspectRatio="none"><path fill="currentColor" d="{}"/></svg>'
    ).format(summary(counts, unit), max(width, 1), _HEIGHT, _path(counts))


def bar_chart(series: Series, *, marks: Iterable[Mark] = (), usual: float = 0.0) -> Markup:
    """Bars of counts, with a vertical line at each mark, and a horizontal one at the `usual` count.

    A line of a release is continuous, all others are dashed. Marks at other times are left out.
    """
    counts = series.counts
    most = max([1, *counts, usual])
    drawing = [
        Markup('<path class="bar" d="{}"><title>{}: {:,}</title></path>').format(
            _bar(place, count, most), name, count
        )
        for place, (name, count) in enumerate(series.periods)
        if count > 0
    ]
    drawing += [_line(mark, series) for mark in marks if series.start <= mark.at < series.end]
    if usual > 0:
        height = _number(_HEIGHT * (1 - usual / most))
        path = f"M0 {height}H{len(counts) * _BAR}"
        drawing.append(_stroke("usual", path, "6 4", f"usual: {usual:,.3g}"))
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}"'
        ' preserveAspectRatio="none" fill="currentColor">{}</svg>'
    ).format(
        series.summary,
        max(len(counts) * _BAR, 1),
        _HEIGHT,
        Markup("").join(drawing),
    )


def summary(counts: Sequence[int], unit: str) -> str:
    """Counts in words; see `Series.summary`."""
    total, length = sum(counts), len(counts)
    span = f"{length} {unit}s" if length != 1 else f"one {unit}"
    if not total:
        return f"none in {span}"
    article = "an" if unit == "hour" else "a"
    return f"{total:,} in {span}, at most {max(counts):,} in {article} {unit}"


def period_name(at: float, step: int) -> str:
    """When a period begins: "14:05", or "2026-11-28" if it lasts a day; in UTC."""
    moment = datetime.fromtimestamp(min(max(at, _EARLIEST), _LATEST), UTC)
    return moment.strftime("%H:%M" if step < 86400 else "%Y-%m-%d")


def _path(counts: Sequence[int]) -> str:
    most = max([1, *counts])
    return "".join(_bar(place, count, most) for place, count in enumerate(counts) if count > 0)


def _bar(place: int, count: int, most: float) -> str:
    height = max(_HEIGHT * count / most, _LEAST)
    width = _BAR - _GAP
    return f"M{place * _BAR + _GAP // 2} {_HEIGHT}v-{_number(height)}h{width}V{_HEIGHT}z"


def _line(mark: Mark, series: Series) -> Markup:
    at = _number((mark.at - series.start) / series.step * _BAR)
    return _stroke(
        mark.kind, f"M{at} 0V{_HEIGHT}", "" if mark.kind == "release" else "4 3", mark.text
    )


def _stroke(kind: str, path: str, dashes: str, title: str) -> Markup:
    return Markup(
        '<path class="mark {}" d="{}" fill="none" stroke="currentColor" stroke-width="2"'
        ' stroke-dasharray="{}" vector-effect="non-scaling-stroke"><title>{}</title></path>'
    ).format(kind, path, dashes or "none", one_line(title))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
