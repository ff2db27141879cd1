"""How many mails there may be about all errors together; pure, with the clock passed in.

What is beyond it waits, and comes in a digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quartapp.reporting.alerts.policy import Limits, is_due


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
    counted = [moment for moment in sent if not is_due(now, moment, limits.budget_window)]
    send = min(max(limits.budget - len(counted), 0), len(waiting))
    if send == len(waiting):
        return Plan(send, digest=False)
    since = max(digests, default=waiting[send])
    if is_due(now, since, limits.digest_every):  # the last one was long ago: gather anew
        since = waiting[send]
    if is_due(now, since, limits.digest_every):
        return Plan(send, digest=True)
    free_at = min(counted, default=now) + limits.budget_window
    return Plan(send, digest=False, wake_at=min(since + limits.digest_every, free_at))
