"""When a handler's groups are mailed: pure, with a simulated clock."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.reporting import QueuedSMTPHandler
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.handler import groups as groups_module
from quartapp.reporting.handler.groups import RECORDS, Groups
from quartapp.reporting.report import Report

START = 1_000_000.0
LIMITS = QueuedSMTPHandler.limits


class Simulation:
    """Counts and mails as the thread of a handler does; `mails` has the time, the groups, and how
    often the first of them is said to have occurred."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.groups = Groups(limits)
        self.now = START
        self.mails: list[tuple[float, int, int]] = []

    def happen(self, count: int = 1, group: str = "a", records: int = 0) -> None:
        report = Report("id", group, self.now, f"Error in {group}")
        one = Aggregate(group, f"Error in {group}", count=count, first=self.now, last=self.now)
        one.samples = [report] * records
        self.groups.add([one], self.now)
        self._mail()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (at := self.groups.wake_at(self.now)) is not None and at <= until:
            self.now = max(self.now, at) + 1e-6
            self.groups.wake(self.now)
            self._mail()
        self.now = max(self.now, until)

    def _mail(self) -> None:
        for groups in self.groups.due(self.now):
            self.mails.append((self.now - START, len(groups), groups[0].count))
            self.groups.mailed(groups, self.now)


def test_mails_a_burst_within_ten_seconds_at_most_three_times_and_exactly() -> None:
    simulation = Simulation()
    for _ in range(50):
        simulation.happen()
        simulation.wait(0.2)
    simulation.wait(3600.0)
    assert len(simulation.mails) <= 3
    first, second, *_ = simulation.mails
    assert first[0] < 0.5
    assert second[0] < 12.0
    assert second[2] == 50


def test_mails_every_burst_of_any_shape_exactly() -> None:
    @settings(max_examples=60)
    @given(st.lists(st.floats(0.0, 10.0), min_size=2, max_size=50))
    def check(moments: list[float]) -> None:
        simulation = Simulation()
        before = 0.0
        for moment in sorted(moments):
            simulation.wait(moment - before)
            simulation.happen()
            before = moment
        simulation.wait(30.0)
        assert len(simulation.mails) <= 2
        at, _, count = simulation.mails[-1]
        assert count == len(moments)
        assert at - min(moments) < 12.0

    check()


def test_a_single_occurrence_is_one_mail() -> None:
    simulation = Simulation()
    simulation.happen()
    simulation.wait(100_000.0)
    assert [count for _, _, count in simulation.mails] == [1]


@pytest.mark.slow
def test_mails_a_steady_error_ever_more_seldom() -> None:
    simulation = Simulation()
    for _ in range(7200):
        simulation.happen()
        simulation.wait(1.0)
    simulation.wait(20_000.0)
    assert [count for _, _, count in simulation.mails][-1] == 7200
    assert 5 <= len(simulation.mails) <= 8


def test_what_comes_later_is_mailed_too() -> None:
    simulation = Simulation()
    simulation.happen()
    simulation.wait(5000.0)
    simulation.happen()
    simulation.wait(1.0)
    assert [count for _, _, count in simulation.mails] == [1, 2]


def test_the_budget_of_an_hour_holds_over_all_groups() -> None:
    simulation = Simulation()
    for number in range(30):
        simulation.happen(group=str(number))
    simulation.wait(1.0)
    assert [groups for _, groups, _ in simulation.mails] == [1] * 10
    simulation.wait(1000.0)
    assert [groups for _, groups, _ in simulation.mails[10:]] == [20]


def test_a_hurry_mails_all_at_once() -> None:
    simulation = Simulation()
    for number in range(12):
        simulation.happen(group=str(number))
    simulation.groups.hurry(simulation.now)
    mails = simulation.groups.due(simulation.now, all_of_them=True)
    assert [len(groups) for groups in mails] == [1] * 10 + [2]


def test_more_groups_than_there_is_room_for_are_counted_together(monkeypatch: Any) -> None:
    monkeypatch.setattr(groups_module, "MOST_GROUPS", 3)
    simulation = Simulation()
    for number in range(10):
        simulation.happen(group=str(number))
    assert simulation.groups.unmailed == 10
    kept = simulation.groups.to_json()["groups"]
    assert [(group["title"], group["count"]) for group in kept[3:]] == [
        ("Errors of more than 3 kinds", 7)
    ]


def test_a_group_that_is_mailed_and_quiet_makes_room(monkeypatch: Any) -> None:
    monkeypatch.setattr(groups_module, "MOST_GROUPS", 2)
    simulation = Simulation()
    series = simulation.groups.id
    simulation.happen(group="a")
    simulation.wait(1.0)
    simulation.happen(group="b")
    simulation.wait(2000.0)
    simulation.happen(group="c")
    assert [group["fingerprint"] for group in simulation.groups.to_json()["groups"]] == ["b", "c"]
    # if it comes back, the first mail about it must not have the Message-ID of the former one
    assert simulation.groups.id != series


def test_keeps_few_records_until_they_are_mailed(monkeypatch: Any) -> None:
    monkeypatch.setattr(groups_module, "_RECORDS_OF_ALL", 12)
    simulation = Simulation()
    for group in "abc":
        for _ in range(4):
            simulation.happen(3, group=group, records=3)
    kept = [len(group["records"]) for group in simulation.groups.to_json()["groups"]]
    assert max(kept) == RECORDS
    assert sum(kept) <= 12
    simulation.wait(1.0)
    assert [group["records"] for group in simulation.groups.to_json()["groups"]] == [[], [], []]


def test_the_state_can_be_stored() -> None:
    simulation = Simulation()
    simulation.happen(7, records=2)
    simulation.wait(1.0)
    simulation.happen(2, records=1)
    simulation.happen(2, group="b", records=1)
    stored = simulation.groups.to_json()
    other = Groups(LIMITS)
    other.load(stored)
    assert other.to_json() == stored
