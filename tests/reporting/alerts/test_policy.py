"""The alert policy, by a clock of its own: who is told, when, and how often."""

from itertools import pairwise, takewhile
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.reporting.alerts.policy import Alert, AlertState, Kind, Limits, Seen, Standing, decide

MINUTE = 60.0
HOUR = 3600.0
LIMITS = Limits()


class Drainer:
    """Counts the occurrences of one group and asks the policy, as the real one does: each second
    in which something was counted, and when it is asked to wake."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now = 1_000_000.0
        self.limits = limits
        self.state = AlertState()
        self.standing = Standing()
        self.counted: list[tuple[float, int]] = []
        self.total = 0
        self.wake_at: float | None = None
        self.mails: list[tuple[float, Alert]] = []
        self.start = self.now

    def happen(self, count: int = 1) -> None:
        self.counted.append((self.now, count))
        self.total += count
        self._decide(count)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.wake_at is not None and self.wake_at <= until:
            before = self.wake_at
            self.now = max(self.now, before)
            self._decide(0)
            assert self.wake_at != before, "it would be asked for ever"
        self.now = until

    def storm(self, seconds: int, each_second: int) -> None:
        for _ in range(seconds):
            self.happen(each_second)
            self.wait(1)

    def _decide(self, batch: int) -> None:
        late = takewhile(lambda each: self.now - each[0] < 300, reversed(self.counted))
        recent = sum(count for _, count in late)
        first, last = self.counted[0][0], self.counted[-1][0]
        seen = Seen(self.now, batch, self.total, recent, first, last)
        # what is remembered passes through its column
        state = AlertState.from_json(self.state.to_json())
        decision = decide(state, self.standing, seen, self.limits)
        self.state, self.standing = decision.state, decision.standing
        self.wake_at = decision.wake_at
        self.mails += [(self.now - self.start, alert) for alert in decision.alerts]

    @property
    def told(self) -> list[tuple[float, Kind]]:
        return [(when, alert.kind) for when, alert in self.mails]


@pytest.fixture
def drainer() -> Drainer:
    return Drainer()


def test_one_error_is_one_mail_after_a_gather(drainer: Drainer) -> None:
    drainer.happen()
    assert drainer.told == []
    drainer.wait(24 * HOUR)
    assert drainer.told == [(10, Kind.NEW)]


def test_what_came_in_the_gather_is_told_with_it(drainer: Drainer) -> None:
    for _ in range(3):
        drainer.happen(4)
        drainer.wait(1)
    drainer.wait(9 * MINUTE)
    assert drainer.told == [(10, Kind.NEW)]
    assert drainer.mails[0][1].count == 12


def test_tells_at_ten_and_hundred_and_thousand(drainer: Drainer) -> None:
    for _ in range(1005):
        drainer.happen()
        drainer.wait(11 * MINUTE)
    ordinals = [alert.ordinal for _, alert in drainer.mails if alert.kind is Kind.ESCALATION]
    assert ordinals == [1, 2, 3]
    assert len(drainer.mails) == 4


def test_a_group_has_at_most_one_mail_in_ten_minutes(drainer: Drainer) -> None:
    drainer.storm(5, 5000)
    drainer.wait(5)
    drainer.storm(60, 5000)
    assert drainer.told == [(10, Kind.NEW)]
    drainer.storm(3 * 3600, 1)
    times = [when for when, _ in drainer.told]
    assert all(later - earlier >= 600 for earlier, later in pairwise(times))


def test_a_million_in_three_hours_are_a_handful_of_mails() -> None:
    drainer = Drainer()
    for _ in range(108):
        drainer.happen(10_000)
        drainer.wait(100)
    drainer.wait(HOUR)
    kinds = [kind for _, kind in drainer.told]
    assert kinds[0] is Kind.NEW
    assert kinds[-1] is Kind.OVER
    assert len(kinds) <= 6
    assert drainer.mails[-1][1].count == 1_080_000


def test_says_when_it_is_over_with_the_exact_total(drainer: Drainer) -> None:
    began = drainer.now
    drainer.storm(120, 7)
    drainer.wait(HOUR)
    assert drainer.told == [(10, Kind.NEW), (610, Kind.ESCALATION), (719, Kind.OVER)]
    over = drainer.mails[-1][1]
    assert (over.count, over.since) == (840, began)


def test_a_few_are_over_without_a_word(drainer: Drainer) -> None:
    drainer.storm(9, 1)
    drainer.wait(HOUR)
    assert drainer.told == [(10, Kind.NEW)]


def test_what_the_last_mail_told_is_not_told_again() -> None:
    drainer = Drainer(Limits(pause=3 * HOUR))
    drainer.storm(60, 50)
    drainer.wait(24 * HOUR)
    assert [kind for _, kind in drainer.told] == [Kind.NEW, Kind.OVER]
    drainer.happen()
    drainer.wait(24 * HOUR)
    assert len(drainer.told) == 2


def test_a_burst_counts_anew_after_a_mute(drainer: Drainer) -> None:
    drainer.storm(20, 5)
    drainer.standing = Standing(muted_more=100)
    drainer.storm(20, 5)
    drainer.storm(20, 1)
    drainer.wait(HOUR)
    assert drainer.mails[-1][1].kind is Kind.OVER
    assert drainer.mails[-1][1].count == 20


def test_each_burst_is_closed_once(drainer: Drainer) -> None:
    for _ in range(3):
        drainer.storm(10, 2)
        drainer.wait(HOUR)
    closings = [alert for _, alert in drainer.mails if alert.kind is Kind.OVER]
    assert [alert.ordinal for alert in closings] == [1, 2, 3]
    assert [alert.count for alert in closings] == [20, 20, 20]


def test_a_rate_is_told_once_until_it_was_calm(drainer: Drainer) -> None:
    drainer.storm(1000, 1)  # NEW, 10+, 100+ and 1000+ are behind
    drainer.wait(2 * HOUR)
    drainer.mails.clear()
    drainer.storm(290, 1)
    assert [kind for _, kind in drainer.told] == [Kind.RATE]
    # it falls below the rate, but not to calm, and rises again: still the same storm
    for minute in range(40):
        drainer.happen(5 if minute // 10 % 2 else 8)
        drainer.wait(MINUTE)
    assert [kind for _, kind in drainer.told] == [Kind.RATE]
    drainer.wait(5 * MINUTE)
    drainer.happen()  # fewer than calm
    drainer.wait(MINUTE)
    drainer.storm(60, 1)
    assert [kind for _, kind in drainer.told] == [Kind.RATE, Kind.RATE]
    assert [alert.ordinal for _, alert in drainer.mails] == [1, 2]


def test_what_was_resolved_and_comes_back_is_a_regression(drainer: Drainer) -> None:
    drainer.happen(500)
    drainer.wait(HOUR)
    drainer.standing = Standing(resolved_at=drainer.now)
    drainer.wait(HOUR)
    drainer.mails.clear()
    drainer.happen()
    drainer.wait(HOUR)
    assert [(alert.kind, alert.episode, alert.count) for _, alert in drainer.mails] == [
        (Kind.REGRESSION, 2, 1)
    ]
    assert drainer.standing == Standing()
    drainer.happen(9)
    drainer.wait(MINUTE)
    assert drainer.mails[-1][1] == Alert(Kind.ESCALATION, 1, 2, 10, drainer.mails[0][1].since), (
        "the episode counts from its own beginning"
    )


def test_what_happened_before_it_was_resolved_is_no_regression(drainer: Drainer) -> None:
    drainer.happen()
    drainer.wait(MINUTE)
    drainer.mails.clear()
    drainer.counted.append((drainer.now, 1))
    drainer.total += 1
    drainer.standing = Standing(resolved_at=drainer.now + 5)
    drainer.wait(6)
    drainer._decide(1)
    drainer.wait(HOUR)
    assert drainer.told == []
    assert drainer.standing.resolved_at is not None


def test_resolving_stops_what_was_about_to_be_told(drainer: Drainer) -> None:
    drainer.happen(50)
    drainer.standing = Standing(resolved_at=drainer.now + 1)
    drainer.wait(HOUR)
    assert drainer.told == []


def test_mute_for_ever(drainer: Drainer) -> None:
    drainer.happen()
    drainer.wait(MINUTE)
    drainer.mails.clear()
    drainer.standing = Standing(muted_until=inf)
    drainer.storm(200, 50)
    drainer.wait(HOUR)
    assert drainer.told == []


def test_mute_until_a_time_tells_the_next_one_after_it(drainer: Drainer) -> None:
    drainer.happen()
    drainer.wait(MINUTE)
    drainer.mails.clear()
    drainer.standing = Standing(muted_until=drainer.now + HOUR)
    drainer.storm(100, 50)
    drainer.wait(2 * HOUR)
    assert drainer.told == [], "a mute that ends is no news"
    drainer.happen()
    drainer.wait(MINUTE)
    assert [kind for _, kind in drainer.told] == [Kind.UNMUTED]
    assert drainer.standing == Standing()


@pytest.mark.parametrize("more", [0, 1, 5])
def test_mute_for_some_more_tells_the_one_after_them(drainer: Drainer, more: int) -> None:
    drainer.happen()
    drainer.wait(MINUTE)
    drainer.mails.clear()
    drainer.standing = Standing(muted_more=more)
    for _ in range(more):
        drainer.happen()
        drainer.wait(MINUTE)
    assert drainer.told == []
    drainer.happen()
    drainer.wait(MINUTE)
    assert [kind for _, kind in drainer.told] == [Kind.UNMUTED]


def test_each_end_of_a_mute_is_a_mail_of_its_own(drainer: Drainer) -> None:
    for _ in range(3):
        drainer.standing = Standing(muted_more=0)
        drainer.happen()
        drainer.wait(MINUTE)
    assert [alert.ordinal for _, alert in drainer.mails] == [1, 2, 3]


def test_muted_before_anything_was_told_is_not_new_later(drainer: Drainer) -> None:
    drainer.standing = Standing(muted_more=1)
    drainer.happen()
    drainer.wait(HOUR)
    drainer.happen()
    drainer.wait(HOUR)
    assert [kind for _, kind in drainer.told] == [Kind.UNMUTED]


def test_every_occurrence_if_somebody_asks_for_it() -> None:
    drainer = Drainer(Limits(every_occurrence=True))
    for _ in range(40):
        drainer.happen()
        drainer.wait(MINUTE)
    drainer.wait(HOUR)
    kinds = [kind for _, kind in drainer.told]
    assert kinds == [Kind.NEW, *[Kind.OCCURRENCE] * 39, Kind.OVER]
    assert [alert.ordinal for _, alert in drainer.mails[1:-1]] == list(range(2, 41))


def test_a_clock_set_back_delays_nothing(drainer: Drainer) -> None:
    drainer.happen()
    drainer.now -= HOUR
    drainer._decide(0)
    assert [kind for _, kind in drainer.told] == [Kind.NEW]


def test_a_drainer_that_was_away_closes_the_burst_it_finds(drainer: Drainer) -> None:
    drainer.storm(60, 5)
    drainer.wake_at = None  # nobody woke it
    drainer.wait(3 * HOUR)
    drainer.happen(2)
    drainer.wait(HOUR)
    over = [alert for _, alert in drainer.mails if alert.kind is Kind.OVER]
    assert [(alert.ordinal, alert.count) for alert in over] == [(1, 300)]


def test_the_state_of_a_group_never_seen_is_empty() -> None:
    assert AlertState.from_json(None) == AlertState.from_json("") == AlertState()
    assert AlertState.from_json('{"episode":3,"of_a_later_version":1}') == AlertState(episode=3)
    with pytest.raises(ValueError):
        AlertState.from_json("{")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), st.integers(1, 2000)),
        st.tuples(st.just("wait"), st.integers(1, 4000)),
        st.tuples(st.just("resolve"), st.just(0)),
        st.tuples(st.just("mute"), st.integers(0, 20)),
        st.tuples(st.just("mute until"), st.integers(0, 4000)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(steps, st.booleans())
def test_whatever_happens_no_alert_comes_twice(
    script: list[tuple[str, int]], every_occurrence: bool
) -> None:
    drainer = Drainer(Limits(every_occurrence=every_occurrence))
    counted = 0
    for step, number in script:
        match step:
            case "happen":
                counted += number
                drainer.happen(number)
            case "wait":
                drainer.wait(number)
            case "resolve":
                drainer.standing = Standing(resolved_at=drainer.now)
            case "mute":
                drainer.standing = Standing(muted_more=number)
            case "mute until":
                drainer.standing = Standing(muted_until=drainer.now + number)
    drainer.wait(24 * HOUR)
    keys = [(alert.kind, alert.ordinal, alert.episode) for _, alert in drainer.mails]
    assert len(keys) == len(set(keys))
    assert all(alert.count <= counted for _, alert in drainer.mails)
    assert drainer.wake_at is None, "a group that is quiet is left alone"
    if counted and not any(step in ("resolve", "mute", "mute until") for step, _ in script):
        assert drainer.mails[0][1].kind is Kind.NEW
