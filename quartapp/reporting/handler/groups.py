"""What a handler has counted, in groups, and which of them are to be mailed; pure.

The alert policy decides when. A group keeps up to five of its records until they are mailed; the
others are only counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from quartapp.reporting.alerts.budget import spend
from quartapp.reporting.alerts.policy import (
    Alert,
    AlertState,
    Counts,
    Kind,
    Limits,
    Triage,
    decide,
)
from quartapp.reporting.counting.aggregate import UNNAMED, Aggregate
from quartapp.reporting.journal.entries import UNKNOWN
from quartapp.reporting.report import Report

MOST_GROUPS = 1000
"""Occurrences of further groups are counted together, without a name."""

RECORDS = 5
_RECORDS_OF_ALL = 500

_FIRST_KINDS = {Kind.NEW, Kind.REGRESSION, Kind.UNMUTED}


@dataclass(slots=True)
class Group:
    """One group. `mailed` of its occurrences are in a mail; `records` are some of the others.

    `alert`, if there is one, waits to be mailed since `alert_at`. `rejections` counts how often the
    server has rejected its mail.
    """

    fingerprint: str
    title: str = UNNAMED
    count: int = 0
    first: float = float("inf")
    last: float = 0.0
    mailed: int = 0
    records: list[Report] = field(default_factory=list)
    state: AlertState = field(default_factory=AlertState)
    wake_at: float | None = None
    alert: Alert | None = None
    alert_at: float = 0.0
    rejections: int = 0

    @property
    def unmailed(self) -> int:
        """How many occurrences are in no mail yet."""
        return self.count - self.mailed

    def add(self, more: Aggregate) -> None:
        """Count occurrences, and keep the first record and the newest ones."""
        self.count += more.count
        self.first, self.last = min(self.first, more.first), max(self.last, more.last)
        if self.title == UNNAMED:
            self.title = more.title
        self.records += more.samples
        del self.records[1 : 1 + max(len(self.records) - RECORDS, 0)]


class Groups:
    """All groups of a handler. `id` is a part of the Message-IDs; no other handler has the same."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.id = uuid4().hex[:12]
        self._groups: dict[str, Group] = {}
        self._sent: list[float] = []
        self._digests: list[float] = []

    @property
    def unmailed(self) -> int:
        """How many occurrences are in no mail yet."""
        return sum(group.unmailed for group in list(self._groups.values()))

    def add(self, aggregates: Iterable[Aggregate], now: float) -> None:
        """Count what was recorded, and ask the policy about it."""
        for one in aggregates:
            group = self._group(one.fingerprint, now)
            group.add(one)
            if group.fingerprint != one.fingerprint:
                group.title = f"Errors of more than {MOST_GROUPS:,} kinds"
            self._decide(group, one.count, now, self.limits)
        self._shed()

    def wake(self, now: float) -> None:
        """Ask the policy about the groups for which it wanted to be asked again."""
        for group in self._groups.values():
            if group.wake_at is not None and not group.wake_at > now:
                self._decide(group, 0, now, self.limits)

    def hurry(self, now: float) -> None:
        """Have all that is in no mail yet mailed now."""
        limits = replace(self.limits, initial_delay=0.0, cooldown=0.0, summaries=(0.0,))
        for group in self._groups.values():
            if group.unmailed and group.alert is None:
                self._decide(group, 0, now, limits)

    def wake_at(self, now: float) -> float | None:
        """When the policy, or the budget of mails, wants to be asked again."""
        moments = [group.wake_at for group in self._groups.values() if group.wake_at is not None]
        plan = self._plan(self._due(), now)
        if plan.wake_at is not None:
            moments.append(plan.wake_at)
        return min(moments, default=None)

    def due(self, now: float, *, all_of_them: bool = False) -> list[list[Group]]:
        """The groups to mail now: one or, in a digest, several in each mail.

        The budget may have others wait, unless `all_of_them` have to be mailed.
        """
        due = self._due()
        plan = self._plan(due, now)
        mails = [[group] for group in due[: plan.send]]
        rest = due[plan.send :]
        return [*mails, rest] if rest and (plan.digest or all_of_them) else mails

    def mailed(self, groups: Sequence[Group], now: float) -> None:
        """Note that these groups, as they are now, were in one mail."""
        (self._sent if len(groups) == 1 else self._digests).append(now)
        for group in groups:
            group.mailed, group.alert, group.rejections = group.count, None, 0
            group.records.clear()

    def _due(self) -> list[Group]:
        due = [group for group in self._groups.values() if group.alert is not None]
        return sorted(due, key=lambda group: (group.alert_at, group.first))

    def _plan(self, due: Sequence[Group], now: float) -> Any:
        hour = now - max(self.limits.budget_window, self.limits.digest_every)
        self._sent = [moment for moment in self._sent if moment > hour]
        self._digests = [moment for moment in self._digests if moment > hour]
        return spend(now, self._sent, [one.alert_at for one in due], self._digests, self.limits)

    def _group(self, fingerprint: str, now: float) -> Group:
        group = self._groups.get(fingerprint)
        if group is None:
            if len(self._groups) >= MOST_GROUPS and not self._forget_one(now):
                fingerprint = UNKNOWN
            group = self._groups.setdefault(fingerprint, Group(fingerprint))
        return group

    def _forget_one(self, now: float) -> bool:
        """Forget the group that was quiet for the longest time, if all of it is mailed."""
        quiet = now - self.limits.quiet_period
        idle = [one for one in self._groups.values() if not one.unmailed and one.last < quiet]
        if not idle:
            return False
        del self._groups[min(idle, key=lambda one: one.last).fingerprint]
        self.id = uuid4().hex[:12]  # if it comes back, its first mail has the same number again
        return True

    def _shed(self) -> None:
        """Drop the records of the largest groups while there are too many."""
        while sum(len(group.records) for group in self._groups.values()) > _RECORDS_OF_ALL:
            for group in self._groups.values():
                if len(group.records) > 1:
                    del group.records[1:]
                    break
            else:
                next(group for group in self._groups.values() if group.records).records.clear()

    def _decide(self, group: Group, batch: int, now: float, limits: Limits) -> None:
        # No group is resolved or muted here, and without counts by the minute no rate is high.
        counts = Counts(now, batch, group.count, 0, group.first, group.last)
        decision = decide(group.state, Triage(), counts, limits)
        group.state, group.wake_at = decision.state, decision.wake_at
        for alert in decision.alerts:
            if group.alert is None:
                group.alert, group.alert_at = alert, now
            elif group.alert.kind not in _FIRST_KINDS:  # that it is new has to be said
                group.alert = replace(
                    alert,
                    count=max(alert.count, group.alert.count),
                    since=min(alert.since, group.alert.since),
                )

    def to_json(self) -> dict[str, Any]:
        """Everything, for a state file."""
        return {
            "id": self.id,
            "sent": self._sent,
            "digests": self._digests,
            "groups": [_to_json(group) for group in self._groups.values()],
        }

    def load(self, stored: dict[str, Any]) -> None:
        """Read back what `to_json` gave. Raises ValueError, TypeError or KeyError."""
        groups = [_from_json(each) for each in stored["groups"]]
        self._sent = [float(moment) for moment in stored["sent"]]
        self._digests = [float(moment) for moment in stored["digests"]]
        self.id = str(stored["id"])
        self._groups = {group.fingerprint: group for group in groups}


def _to_json(group: Group) -> dict[str, Any]:
    values = {name: getattr(group, name) for name in group.__slots__}
    return values | {
        "records": [record.to_json() for record in group.records],
        "state": group.state.to_json(),
        "alert": asdict(group.alert) if group.alert else None,
    }


def _from_json(stored: dict[str, Any]) -> Group:
    alert = stored["alert"]
    return Group(
        **stored
        | {
            "records": [Report.from_json(text) for text in stored["records"]],
            "state": AlertState.from_json(stored["state"]),
            "alert": Alert(**alert | {"kind": Kind(alert["kind"])}) if alert else None,
        }
    )
