"""Which samples are kept."""

import random

import pytest

from quartapp.reporting.counting.samples import LAST, MOST, allowed, superfluous


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 11), (30, 11), (100, 20), (1000, 40), (10**6, 100), (10**12, 100)]
)
def test_more_occurrences_keep_more_samples(count: int, expected: int) -> None:
    assert allowed(count) == expected


def test_the_first_and_the_last_ten_stay() -> None:
    samples = [(number, float(number)) for number in range(40)]
    gone = superfluous(samples, 11)
    assert [number for number, _ in samples if number not in gone] == [0, *range(30, 40)]


def test_few_samples_all_stay() -> None:
    assert superfluous([(1, 5.0), (2, 5.0)], 11) == []
    assert superfluous([], 11) == []


def test_even_three_have_the_first_and_the_last() -> None:
    samples = [(number, float(number)) for number in range(20)]
    gone = superfluous(samples, 3)
    assert [number for number, _ in samples if number not in gone] == [0, 18, 19]


def test_those_of_a_million_are_spread_over_its_life() -> None:
    """Reports come in bursts, five a minute: each tenth of the month keeps some."""
    numbers = random.Random(1)
    moments = sorted(
        day * 86400 + numbers.gauss(40_000, 3000) for day in range(30) for _ in range(100)
    )
    kept: list[tuple[int, float]] = []
    for number, moment in enumerate(moments):
        kept.append((number, moment))
        gone = superfluous(kept, allowed(number * 400))
        kept = [one for one in kept if one[0] not in gone]
    assert len(kept) == MOST
    tenths = [int(moment // (3 * 86400)) for _, moment in kept[:-LAST]]
    assert min(tenths.count(tenth) for tenth in range(10)) >= 4
    assert kept[0][0] == 0
