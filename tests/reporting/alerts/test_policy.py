"""The alert policy, with a simulated clock: when a mail is sent, and how often."""

from itertools import pairwise, takewhile
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.reporting.alerts.policy import Alert, AlertState, Counts, Kind, Limits, Triage, decide

MINUTE = 60.0
HOUR = 3600.0
LIMITS = Limits()


class Consumer:
    """Counts the occurrences of one group, and asks the policy as the real consumer does: each
    second in which something was counted, and at `wake_at`."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now = 1_000_000.0
        self.limits = limits
        self.state = AlertState()
        self.triage = Triage()
        self.counted: list[tuple[float, int]] = []
        self.total = 0
        self.wake_at: float | None = None
        self.mails: list[tuple[float, Alert]] = []
        self.start = self.now
        self.release = 1

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
            assert self.wake_at != before, "it would be asked forever"
        self.now = until

    def storm(self, seconds: int, each_second: int) -> None:
        for _ in range(seconds):
            self.happen(each_second)
            self.wait(1)

    def _decide(self, batch: int) -> None:
        recent = self.count_of(300)
        hour = self.count_of(3600) if self.triage.muted_rate is not None else 0
        first, last = self.counted[0][0], self.counted[-1][0]
        resolved_in = self.triage.resolved_release
        is_newer = resolved_in is not None and batch > 0 and self.release > int(resolved_in)
        counts = Counts(self.now, batch, self.total, recent, first, last, hour, is_newer)
        # the state is stored as in its column
        state = AlertState.from_json(self.state.to_json())
        decision = decide(state, self.triage, counts, self.limits)
        self.state, self.triage = decision.state, decision.triage
        self.wake_at = decision.wake_at
        self.mails += [(self.now - self.start, alert) for alert in decision.alerts]

    def count_of(self, seconds: float) -> int:
        late = takewhile(lambda each: self.now - each[0] < seconds, reversed(self.counted))
        return sum(count for _, count in late)

    @property
    def told(self) -> list[tuple[float, Kind]]:
        return [(when, alert.kind) for when, alert in self.mails]


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


def test_one_error_is_one_mail_after_the_initial_delay(consumer: Consumer) -> None:
    consumer.happen()
    assert consumer.told == []
    consumer.wait(24 * HOUR)
    assert consumer.told == [(10, Kind.NEW)]


def test_what_came_in_the_initial_delay_is_told_with_it(consumer: Consumer) -> None:
    for _ in range(3):
        consumer.happen(4)
        consumer.wait(1)
    consumer.wait(9 * MINUTE)
    assert consumer.told == [(10, Kind.NEW)]
    assert consumer.mails[0][1].count == 12


def test_tells_at_ten_and_hundred_and_thousand(consumer: Consumer) -> None:
    for _ in range(1005):
        consumer.happen()
        consumer.wait(11 * MINUTE)
    ordinals = [alert.ordinal for _, alert in consumer.mails if alert.kind is Kind.ESCALATION]
    assert ordinals == [1, 2, 3]
    assert len(consumer.mails) == 4


@pytest.mark.slow
def test_a_group_has_at_most_one_mail_in_ten_minutes(consumer: Consumer) -> None:
    consumer.storm(5, 5000)
    consumer.wait(5)
    consumer.storm(60, 5000)
    assert consumer.told == [(10, Kind.NEW)]
    consumer.storm(3 * 3600, 1)
    times = [when for when, _ in consumer.told]
    assert all(later - earlier >= 600 for earlier, later in pairwise(times))


def test_a_million_in_three_hours_are_a_handful_of_mails() -> None:
    consumer = Consumer()
    for _ in range(108):
        consumer.happen(10_000)
        consumer.wait(100)
    consumer.wait(HOUR)
    kinds = [kind for _, kind in consumer.told]
    assert kinds[0] is Kind.NEW
    assert kinds[-1] is Kind.OVER
    assert len(kinds) <= 6
    assert consumer.mails[-1][1].count == 1_080_000


def test_says_when_it_is_over_with_the_exact_total(consumer: Consumer) -> None:
    began = consumer.now
    consumer.storm(120, 7)
    consumer.wait(HOUR)
    assert consumer.told == [(10, Kind.NEW), (610, Kind.ESCALATION), (719, Kind.OVER)]
    over = consumer.mails[-1][1]
    assert (over.count, over.since) == (840, began)


def test_a_few_are_over_without_a_word(consumer: Consumer) -> None:
    consumer.storm(9, 1)
    consumer.wait(HOUR)
    assert consumer.told == [(10, Kind.NEW)]


def test_what_the_last_mail_told_is_not_told_again() -> None:
    consumer = Consumer(Limits(cooldown=3 * HOUR))
    consumer.storm(60, 50)
    consumer.wait(24 * HOUR)
    assert [kind for _, kind in consumer.told] == [Kind.NEW, Kind.OVER]
    consumer.happen()
    consumer.wait(24 * HOUR)
    assert len(consumer.told) == 2


def test_a_burst_counts_anew_after_a_mute(consumer: Consumer) -> None:
    consumer.storm(20, 5)
    consumer.triage = Triage(muted_more=100)
    consumer.storm(20, 5)
    consumer.storm(20, 1)
    consumer.wait(HOUR)
    assert consumer.mails[-1][1].kind is Kind.OVER
    assert consumer.mails[-1][1].count == 20


def test_each_burst_is_closed_once(consumer: Consumer) -> None:
    for _ in range(3):
        consumer.storm(10, 2)
        consumer.wait(HOUR)
    closings = [alert for _, alert in consumer.mails if alert.kind is Kind.OVER]
    assert [alert.ordinal for alert in closings] == [1, 2, 3]
    assert [alert.count for alert in closings] == [20, 20, 20]


def test_a_rate_is_told_once_until_it_was_calm(consumer: Consumer) -> None:
    consumer.storm(1000, 1)  # NEW, 10+, 100+ and 1000+ were sent before
    consumer.wait(2 * HOUR)
    consumer.mails.clear()
    consumer.storm(290, 1)
    assert [kind for _, kind in consumer.told] == [Kind.RATE]
    # the rate falls below the high rate, but not below the low one, and rises: still the same storm
    for minute in range(40):
        consumer.happen(5 if minute // 10 % 2 else 8)
        consumer.wait(MINUTE)
    assert [kind for _, kind in consumer.told] == [Kind.RATE]
    consumer.wait(5 * MINUTE)
    consumer.happen()  # fewer than the low rate
    consumer.wait(MINUTE)
    consumer.storm(60, 1)
    assert [kind for _, kind in consumer.told] == [Kind.RATE, Kind.RATE]
    assert [alert.ordinal for _, alert in consumer.mails] == [1, 2]


def test_what_was_resolved_and_comes_back_is_a_regression(consumer: Consumer) -> None:
    consumer.happen(500)
    consumer.wait(HOUR)
    consumer.triage = Triage(resolved_at=consumer.now)
    consumer.wait(HOUR)
    consumer.mails.clear()
    consumer.happen()
    consumer.wait(HOUR)
    assert [(alert.kind, alert.episode, alert.count) for _, alert in consumer.mails] == [
        (Kind.REGRESSION, 2, 1)
    ]
    assert consumer.triage == Triage()
    consumer.happen(9)
    consumer.wait(MINUTE)
    assert consumer.mails[-1][1] == Alert(Kind.ESCALATION, 1, 2, 10, consumer.mails[0][1].since), (
        "the episode counts from its own beginning"
    )


def test_what_happened_before_it_was_resolved_is_no_regression(consumer: Consumer) -> None:
    consumer.happen()
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.counted.append((consumer.now, 1))
    consumer.total += 1
    consumer.triage = Triage(resolved_at=consumer.now + 5)
    consumer.wait(6)
    consumer._decide(1)
    consumer.wait(HOUR)
    assert consumer.told == []
    assert consumer.triage.resolved_at is not None


def test_resolving_stops_what_was_about_to_be_told(consumer: Consumer) -> None:
    consumer.happen(50)
    consumer.triage = Triage(resolved_at=consumer.now + 1)
    consumer.wait(HOUR)
    assert consumer.told == []


def test_mute_for_ever(consumer: Consumer) -> None:
    consumer.happen()
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(muted_until=inf)
    consumer.storm(200, 50)
    consumer.wait(HOUR)
    assert consumer.told == []


def test_mute_until_a_time_tells_the_next_one_after_it(consumer: Consumer) -> None:
    consumer.happen()
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(muted_until=consumer.now + HOUR)
    consumer.storm(100, 50)
    consumer.wait(2 * HOUR)
    assert consumer.told == [], "a mute that ends is no news"
    consumer.happen()
    consumer.wait(MINUTE)
    assert [kind for _, kind in consumer.told] == [Kind.UNMUTED]
    assert consumer.triage == Triage()


@pytest.mark.parametrize("more", [0, 1, 5])
def test_mute_for_some_more_tells_the_one_after_them(consumer: Consumer, more: int) -> None:
    consumer.happen()
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(muted_more=more)
    for _ in range(more):
        consumer.happen()
        consumer.wait(MINUTE)
    assert consumer.told == []
    consumer.happen()
    consumer.wait(MINUTE)
    assert [kind for _, kind in consumer.told] == [Kind.UNMUTED]


def test_a_mute_by_rate_ends_when_there_are_more_within_an_hour(consumer: Consumer) -> None:
    consumer.happen(500)
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(muted_until=inf, muted_more=20, muted_rate=20)
    for _ in range(60):
        consumer.happen()
        consumer.wait(4 * MINUTE)
    assert consumer.told == [], "500 of the first hour are from before, and later ones are too few"
    consumer.happen(6)
    consumer.wait(MINUTE)
    assert consumer.told == [], "20 within the hour are not more than 20"
    consumer.happen(1)
    consumer.wait(MINUTE)
    assert [kind for _, kind in consumer.told] == [Kind.UNMUTED]
    assert consumer.triage == Triage()


def test_a_mute_by_rate_ends_at_its_time_too(consumer: Consumer) -> None:
    consumer.happen()
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(muted_until=consumer.now + HOUR, muted_more=9, muted_rate=9)
    consumer.wait(2 * HOUR)
    consumer.happen()
    consumer.wait(MINUTE)
    assert [kind for _, kind in consumer.told] == [Kind.UNMUTED]


def test_resolved_in_the_next_release_comes_back_with_that_release(consumer: Consumer) -> None:
    consumer.happen(5)
    consumer.wait(MINUTE)
    consumer.mails.clear()
    consumer.triage = Triage(resolved_at=consumer.now, resolved_release="1")
    consumer.wait(MINUTE)
    consumer.happen(100)
    consumer.wait(HOUR)
    assert consumer.told == [], "the release without the fix still runs"
    consumer.release = 2
    consumer.happen()
    consumer.wait(HOUR)
    assert [(alert.kind, alert.count) for _, alert in consumer.mails] == [(Kind.REGRESSION, 1)]
    assert consumer.triage == Triage()


def test_each_end_of_a_mute_is_a_mail_of_its_own(consumer: Consumer) -> None:
    for _ in range(3):
        consumer.triage = Triage(muted_more=0)
        consumer.happen()
        consumer.wait(MINUTE)
    assert [alert.ordinal for _, alert in consumer.mails] == [1, 2, 3]


def test_muted_before_anything_was_told_is_not_new_later(consumer: Consumer) -> None:
    consumer.triage = Triage(muted_more=1)
    consumer.happen()
    consumer.wait(HOUR)
    consumer.happen()
    consumer.wait(HOUR)
    assert [kind for _, kind in consumer.told] == [Kind.UNMUTED]


def test_every_occurrence_if_somebody_asks_for_it() -> None:
    consumer = Consumer(Limits(every_occurrence=True))
    for _ in range(40):
        consumer.happen()
        consumer.wait(MINUTE)
    consumer.wait(HOUR)
    kinds = [kind for _, kind in consumer.told]
    assert kinds == [Kind.NEW, *[Kind.OCCURRENCE] * 39, Kind.OVER]
    assert [alert.ordinal for _, alert in consumer.mails[1:-1]] == list(range(2, 41))


def test_a_clock_set_back_delays_nothing(consumer: Consumer) -> None:
    consumer.happen()
    consumer.now -= HOUR
    consumer._decide(0)
    assert [kind for _, kind in consumer.told] == [Kind.NEW]


def test_a_consumer_that_was_away_closes_the_burst_it_finds(consumer: Consumer) -> None:
    consumer.storm(60, 5)
    consumer.wake_at = None  # it was not woken
    consumer.wait(3 * HOUR)
    consumer.happen(2)
    consumer.wait(HOUR)
    over = [alert for _, alert in consumer.mails if alert.kind is Kind.OVER]
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
        st.tuples(st.just("mute by rate"), st.integers(1, 3000)),
        st.tuples(st.just("resolve in the next release"), st.just(0)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=200)
@given(steps, st.booleans())
def test_whatever_happens_no_alert_comes_twice(
    script: list[tuple[str, int]], every_occurrence: bool
) -> None:
    consumer = Consumer(Limits(every_occurrence=every_occurrence))
    counted = 0
    for step, number in script:
        match step:
            case "happen":
                counted += number
                consumer.happen(number)
            case "wait":
                consumer.wait(number)
            case "resolve":
                consumer.triage = Triage(resolved_at=consumer.now)
            case "mute":
                consumer.triage = Triage(muted_more=number)
            case "mute until":
                consumer.triage = Triage(muted_until=consumer.now + number)
            case "mute by rate":
                consumer.triage = Triage(None, inf, number, number)
            case "resolve in the next release":
                consumer.triage = Triage(consumer.now, resolved_release=str(consumer.release))
            case "release":
                consumer.release += 1
    consumer.wait(24 * HOUR)
    keys = [(alert.kind, alert.ordinal, alert.episode) for _, alert in consumer.mails]
    assert len(keys) == len(set(keys))
    assert all(alert.count <= counted for _, alert in consumer.mails)
    assert consumer.wake_at is None, "a group that is quiet is left alone"
    if counted and not any(step not in ("happen", "wait", "release") for step, _ in script):
        assert consumer.mails[0][1].kind is Kind.NEW


@settings(max_examples=100)
@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 2000)), min_size=1, max_size=30),
)
def test_a_mute_by_rate_ends_with_the_first_hour_that_has_more(
    rate: int, occurrences: list[tuple[int, int]]
) -> None:
    consumer = Consumer()
    consumer.happen(1000)
    consumer.wait(MINUTE)
    consumer.mails.clear()
    muted = Triage(muted_until=inf, muted_more=rate, muted_rate=rate)
    consumer.triage = muted
    since: list[tuple[float, int]] = []
    for count, pause in occurrences:
        since.append((consumer.now, count))
        consumer.happen(count)
        within = sum(number for at, number in since if consumer.now - at < HOUR)
        assert (consumer.triage == Triage()) is (within > rate)
        if within > rate:
            break
        assert consumer.told == []
        consumer.wait(pause)
