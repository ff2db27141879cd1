"""How many mails are sent about all errors together; pure, with the clock passed in.

Mails beyond the budget wait and are sent in a digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quartapp.reporting.alerts.policy import Limits, is_due


@dataclass(frozen=True, slots=True)
class Plan:
    """Of the mails that are due, send the oldest `send` on their own and, if `digest`, the rest in
    one mail. Ask again at `wake_at`."""

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
    """What may be sent now of the mails of all groups.

    `sent` and `digests` are the times of the single mails and of the digests of the last hour,
    `waiting` the times since when mails are due, oldest first.
    """
    counted = [moment for moment in sent if not is_due(now, moment, limits.budget_window)]
    send = min(max(limits.budget - len(counted), 0), len(waiting))
    if send == len(waiting):
        return Plan(send, digest=False)
    since = max(digests, default=waiting[send])
    if is_due(now, since, limits.digest_every):  # the last one was long ago: begin to wait again
        since = waiting[send]
    if is_due(now, since, limits.digest_every):
        return Plan(send, digest=True)
    free_at = min(counted, default=now) + limits.budget_window
    return Plan(send, digest=False, wake_at=min(since + limits.digest_every, free_at))
