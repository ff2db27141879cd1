"""Who is told of an error, and when: pure rules over numbers, with the clock passed in.

Times are seconds since the epoch, by the clock of the database, so that machines agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Why a mail is sent."""

    NEW = "new"
    REGRESSION = "regression"
    UNMUTED = "unmuted"
    ESCALATION = "escalation"
    RATE = "rate"
    OVER = "over"
    OCCURRENCE = "occurrence"


@dataclass(frozen=True, slots=True)
class Alert:
    """One mail about one group. (group, kind, ordinal, episode) is unique among all machines."""

    kind: Kind
    ordinal: int
    episode: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What the operators decided about a group.

    `muted_until` ends by the clock; `muted_more` is the number of occurrences still kept silent
    (0: the next one is told; None: no such limit). `muted_until=inf` with no `muted_more` is for
    ever.
    """

    resolved_at: float | None = None
    muted_until: float | None = None
    muted_more: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is counted of a group: `batch` of the `total` are new since the last decision, and
    `recent` fell into the last five minutes."""

    now: float
    batch: int
    total: int
    recent: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the policy remembers of a group between two decisions; store it with the group."""

    episode: int = 0
    told: int = 0
    told_at: float | None = None
    waiting: Kind | None = None
    waiting_since: float = 0.0
    rate_is_high: bool = False
    rates: int = 0
    burst: int = 0
    burst_number: int = 0
    burst_told: bool = False

    def to_json(self) -> str:
        raise NotImplementedError

    @classmethod
    def from_json(cls, text: str | None) -> "AlertState":
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the policy, in seconds and occurrences."""

    gather: float = 10.0
    pause: float = 600.0
    quiet: float = 600.0
    rate: int = 30
    calm: int = 15
    every_occurrence: bool = False
    budget: int = 10
    budget_window: float = 3600.0
    digest_every: float = 900.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Store `state` and `standing`; mail `alerts`; ask again at `wake_at` (None: when the next
    occurrence is counted), even if nothing was counted until then."""

    state: AlertState
    standing: Standing
    alerts: tuple[Alert, ...] = ()
    wake_at: float | None = None


def decide(state: AlertState, standing: Standing, seen: Seen, limits: Limits) -> Decision:
    """What to tell of a group, after counting a batch (or at `wake_at`, with a batch of 0)."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Plan:
    """Of the mails that are due: `send` these many of the oldest on their own; if `digest`, the
    rest in one mail; ask again at `wake_at`."""

    send: int
    digest: bool
    wake_at: float | None = None


def spend(
    now: float,
    sent: Sequence[float],
    waiting: Sequence[float],
    digests: Sequence[float],
    limits: Limits,
) -> Plan:
    """Keep to the budget of mails, over all groups.

    `sent` are the times of the single mails of the last hour, `waiting` the times since when mails
    are due, oldest first, `digests` the times of the digests of the last hour.
    """
    raise NotImplementedError
