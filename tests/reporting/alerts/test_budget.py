"""The budget of mails about all errors together."""

from quartapp.reporting.alerts.budget import Plan, spend
from quartapp.reporting.alerts.policy import Limits

LIMITS = Limits()


def test_the_budget_lets_ten_mails_an_hour_through() -> None:
    now = 100_000.0
    waiting = [now - 5] * 12
    assert spend(now, [], waiting, [], LIMITS) == Plan(10, digest=False, wake_at=now - 5 + 900)
    assert spend(now, [now - 60] * 10, [now], [], LIMITS) == Plan(0, False, now + 900)
    assert spend(now, [now - 60] * 9, [now], [], LIMITS) == Plan(1, digest=False)
    assert spend(now, [now - 3600] * 10, [now], [], LIMITS) == Plan(1, digest=False)
    assert spend(now, [], [], [], LIMITS) == Plan(0, digest=False)


def test_what_is_over_the_budget_comes_together_each_quarter_of_an_hour() -> None:
    now = 100_000.0
    sent = [now - 1800] * 10
    assert spend(now, sent, [now - 900, now - 1], [], LIMITS) == Plan(0, digest=True)
    recently = [now - 300]
    assert spend(now, sent, [now - 200], recently, LIMITS) == Plan(0, False, now + 600)
    long_ago = [now - 2000]
    assert spend(now, sent, [now - 1], long_ago, LIMITS) == Plan(0, False, now + 899)
    assert spend(now, [now - 3000] * 10, [now], [], LIMITS).wake_at == now + 600, "it frees sooner"


def test_a_storm_of_groups_is_ten_mails_and_four_digests_an_hour() -> None:
    now = 100_000.0
    sent: list[float] = []
    digests: list[float] = []
    waiting: list[float] = []
    for second in range(4 * 3600):
        now += 1
        if second % 3 == 0:
            waiting.append(now)
        plan = spend(now, sent, waiting, digests, LIMITS)
        sent += [now] * plan.send
        waiting = waiting[plan.send :]
        if plan.digest:
            digests.append(now)
            waiting = []
    assert len(sent) <= 4 * 10
    assert len(digests) <= 4 * 4
    assert not [time for time in waiting if now - time > 900]
