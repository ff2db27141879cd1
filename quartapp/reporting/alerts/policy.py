"""When operators get a mail about a group of errors: pure rules, with the clock passed in.

`budget` limits the mails about all groups together. docs/report.md draws the states of a group.

Times are seconds since the epoch by the clock of the database, so that machines agree. If that
clock is set back, a wait that would begin in the future counts as over.

A group has episodes (a new one with each regression) and bursts (occurrences with less than
`Limits.quiet_period` between them). A mail says everything that is known when it is made, so no
later mail says it again.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum

_CLOSING = 10
"""A burst of fewer occurrences is over without a mail that says so."""


class Kind(StrEnum):
    """Why a mail is sent."""

    NEW = "new"
    REGRESSION = "regression"
    UNMUTED = "unmuted"
    ESCALATION = "escalation"
    RATE = "rate"
    MORE = "more"
    OVER = "over"
    OCCURRENCE = "occurrence"


@dataclass(frozen=True, slots=True)
class Alert:
    """One mail about one group. (group, kind, ordinal, episode) is unique among all machines.

    It is about `count` occurrences `since` then: those of the burst for OVER, of the last five
    minutes for RATE, those after the last mail for MORE, otherwise of the episode.
    """

    kind: Kind
    ordinal: int
    episode: int
    count: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Triage:
    """What the operators decided about a group.

    A mute ends at `muted_until`, or after `muted_more` further occurrences (0: the next one is
    mailed; None: no such limit), whichever is first. `muted_until=inf` alone is forever. With
    `muted_rate`, the second needs more than that number within an hour too; begin with the same
    number in both, so that occurrences from before the mute do not end it.

    With `resolved_release` it is fixed in the next release: see `Counts.is_newer`.
    """

    resolved_at: float | None = None
    muted_until: float | None = None
    muted_more: int | None = None
    muted_rate: int | None = None
    resolved_release: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of a group: `batch` of the `total` are new since the last decision, and
    `recent` are of the last five minutes; `first` and `last` are times of occurrences.

    `hour`: how many are of the last hour; only a mute by rate asks. `is_newer`: it has occurred in
    a release that was unknown when it was resolved; only a resolution in the next release asks.
    """

    now: float
    batch: int
    total: int
    recent: int
    first: float
    last: float
    hour: int = 0
    is_newer: bool = False


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the policy remembers of a group between two decisions; stored with the group.

    `waiting`: a mail of this kind is sent when the initial delay is over. `told` is the magnitude
    (see `_magnitude`) of the count that the last mail reported, at `told_at`, and `told_total` that
    count; `mails` have been sent in this burst.
    """

    episode: int = 0
    episode_since: float = 0.0
    before_episode: int = 0
    told: int = 0
    told_at: float | None = None
    told_total: int = 0
    mails: int = 0
    waiting: Kind | None = None
    waiting_since: float = 0.0
    rate_is_high: bool = False
    rates: int = 0
    unmutes: int = 0
    burst: int = 0
    burst_since: float = 0.0
    bursts: int = 0
    last: float = 0.0

    def to_json(self) -> str:
        """A short text for one column."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "AlertState":
        """Read it back; None gives the state of a new group. Unknown fields are ignored.

        Raises ValueError or TypeError if the text is no stored state.
        """
        raw = json.loads(text) if text else {}
        known = {field.name: raw[field.name] for field in fields(cls) if field.name in raw}
        if known.get("waiting"):
            known["waiting"] = Kind(known["waiting"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the policy, in seconds and occurrences.

    `summaries` are the seconds after the first, the second ... mail of a burst after which a
    further one says how many occurrences there were since, if any; the last number repeats. Without
    them a few occurrences after a mail are counted, but not mailed.
    """

    initial_delay: float = 10.0
    cooldown: float = 600.0
    quiet_period: float = 600.0
    high_rate: int = 30
    low_rate: int = 15
    every_occurrence: bool = False
    summaries: tuple[float, ...] = ()
    budget: int = 10
    budget_window: float = 3600.0
    digest_every: float = 900.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Store `state` and `triage`; mail `alerts`; ask again at `wake_at` (None: when the next
    occurrence is counted), even if nothing was counted until then."""

    state: AlertState
    triage: Triage
    alerts: tuple[Alert, ...] = ()
    wake_at: float | None = None


def decide(state: AlertState, triage: Triage, counts: Counts, limits: Limits) -> Decision:
    """What to mail about a group after counting a batch (or at `wake_at`, with a batch of 0).

    - A new group, one that comes back after it was resolved, and one whose mute ended are mailed
      `initial_delay` seconds later, with everything that was counted until then.
    - Then a mail is sent at 10, 100, 1000 ... occurrences in the episode, and when `high_rate` of
      them fall into five minutes (again only after there were fewer than `low_rate`), at most once
      in `cooldown` seconds.
    - After `quiet_period` seconds without an occurrence, a mail says the exact total of a burst of
      ten or more.
    - With `summaries`, further occurrences are mailed after these times, however few they are.
    - With `every_occurrence`, everything counted is mailed at once, instead of the second rule.
    """
    if _is_silenced(triage, counts):
        return _silent(state, triage, counts)
    state, triage = _episode(state, triage, counts)
    state, closed = _burst(state, counts, limits)
    state, alert = _next_alert(state, counts, limits)
    alerts = (*closed, alert) if alert else closed
    return Decision(state, triage, alerts, _wake_at(state, counts, limits))


def _is_silenced(triage: Triage, counts: Counts) -> bool:
    if triage.resolved_at is not None:
        # an occurrence that is counted late may be from before
        if counts.batch == 0 or counts.last <= triage.resolved_at:
            return True
        return triage.resolved_release is not None and not counts.is_newer
    if not _is_muted(triage):
        return False
    if _is_too_much(triage, counts):
        return False
    expired = triage.muted_until is not None and counts.now >= triage.muted_until
    return counts.batch == 0 or not expired


def _is_too_much(triage: Triage, counts: Counts) -> bool:
    """Whether there were more occurrences than the mute allows."""
    if triage.muted_more is None or counts.batch <= triage.muted_more:
        return False
    return triage.muted_rate is None or counts.hour > triage.muted_rate


def _is_muted(triage: Triage) -> bool:
    return triage.muted_until is not None or triage.muted_more is not None


def _silent(state: AlertState, triage: Triage, counts: Counts) -> Decision:
    """Nothing of this batch is mailed, now or later."""
    if triage.muted_more is not None:
        triage = replace(triage, muted_more=max(triage.muted_more - counts.batch, 0))
    state = replace(state, burst=0)
    if state.episode == 0:  # muted or resolved before the first mail
        state = replace(state, episode=1, episode_since=counts.first)
    return Decision(_told(state, counts), triage)


def _episode(state: AlertState, triage: Triage, counts: Counts) -> tuple[AlertState, Triage]:
    """Begin the initial delay of a mail, if the group is new, is back, or is no longer muted."""
    if triage.resolved_at is not None:
        waiting = Kind.REGRESSION
    elif _is_muted(triage):
        waiting = Kind.UNMUTED
        state = replace(state, unmutes=state.unmutes + 1)
    elif state.episode == 0 and counts.batch:
        waiting = Kind.NEW
    else:
        return state, triage
    if waiting is not Kind.UNMUTED:
        state = replace(
            state,
            episode=state.episode + 1,
            episode_since=counts.first if waiting is Kind.NEW else counts.last,
            before_episode=counts.total - counts.batch,
            told=0,
        )
    return replace(state, waiting=waiting, waiting_since=counts.now), Triage()


def _burst(
    state: AlertState, counts: Counts, limits: Limits
) -> tuple[AlertState, tuple[Alert, ...]]:
    closed: tuple[Alert, ...] = ()
    if state.burst and is_due(counts.now, state.last, limits.quiet_period):
        if state.burst >= _CLOSING and state.waiting is None:
            over = Alert(Kind.OVER, state.bursts, state.episode, state.burst, state.burst_since)
            closed = (over,)
            state = _told(state, counts, of_before=counts.batch)
        state = replace(state, burst=0, rate_is_high=False, mails=0)
    if counts.batch:
        if state.burst == 0:
            state = replace(state, burst_since=counts.last, bursts=state.bursts + 1)
        state = replace(state, burst=state.burst + counts.batch, last=max(counts.last, state.last))
    return state, closed


def _next_alert(
    state: AlertState, counts: Counts, limits: Limits
) -> tuple[AlertState, Alert | None]:
    if counts.recent < limits.low_rate:
        state = replace(state, rate_is_high=False)
    if state.waiting:
        if not is_due(counts.now, state.waiting_since, limits.initial_delay):
            return state, None
        ordinal = state.unmutes if state.waiting is Kind.UNMUTED else 1
        alert = _alert(state, counts, state.waiting, ordinal)
    elif limits.every_occurrence:
        if not counts.batch:
            return state, None
        alert = _alert(state, counts, Kind.OCCURRENCE, counts.total)
    elif _has_grown(state, counts, limits) and _may_tell(state, counts, limits):
        if _magnitude(state, counts) > state.told:
            alert = _alert(state, counts, Kind.ESCALATION, _magnitude(state, counts))
        else:
            state = replace(state, rates=state.rates + 1)
            alert = Alert(Kind.RATE, state.rates, state.episode, counts.recent, counts.now - 300)
    elif _is_summary_due(state, counts, limits):
        more = counts.total - state.told_total
        alert = Alert(Kind.MORE, counts.total, state.episode, more, state.told_at or counts.first)
    else:
        return state, None
    state = replace(_told(state, counts), waiting=None, told_at=counts.now, mails=state.mails + 1)
    return replace(
        state, rate_is_high=state.rate_is_high or counts.recent >= limits.high_rate
    ), alert


def _alert(state: AlertState, counts: Counts, kind: Kind, ordinal: int) -> Alert:
    count = counts.total - state.before_episode
    return Alert(kind, ordinal, state.episode, count, state.episode_since)


def _told(state: AlertState, counts: Counts, *, of_before: int = 0) -> AlertState:
    total = counts.total - of_before
    return replace(state, told=_magnitude(state, replace(counts, total=total)), told_total=total)


def _magnitude(state: AlertState, counts: Counts) -> int:
    """1 from 10 occurrences of the episode, 2 from 100, and so on."""
    return len(str(max(counts.total - state.before_episode, 1))) - 1


def _has_grown(state: AlertState, counts: Counts, limits: Limits) -> bool:
    if _magnitude(state, counts) > state.told:
        return True
    return counts.recent >= limits.high_rate and not state.rate_is_high


def _may_tell(state: AlertState, counts: Counts, limits: Limits) -> bool:
    return state.told_at is None or is_due(counts.now, state.told_at, limits.cooldown)


def _summary_after(state: AlertState, limits: Limits) -> float:
    return limits.summaries[min(max(state.mails, 1), len(limits.summaries)) - 1]


def _is_summary_due(state: AlertState, counts: Counts, limits: Limits) -> bool:
    if not limits.summaries or counts.total <= state.told_total:
        return False
    return state.told_at is None or is_due(counts.now, state.told_at, _summary_after(state, limits))


def is_due(now: float, since: float, span: float) -> bool:
    """Whether a span is over. So is one that would begin in the future: the clock was set back."""
    return not 0 <= now - since < span


def _wake_at(state: AlertState, counts: Counts, limits: Limits) -> float | None:
    moments = []
    if state.waiting:
        moments.append(state.waiting_since + limits.initial_delay)
    elif state.told_at:
        if not limits.every_occurrence and _has_grown(state, counts, limits):
            moments.append(state.told_at + limits.cooldown)
        if limits.summaries and counts.total > state.told_total:
            moments.append(state.told_at + _summary_after(state, limits))
    if state.burst >= _CLOSING:
        moments.append(state.last + limits.quiet_period)
    return min(moments, default=None)
