"""The outbox of a webhook: the alerts of the policy, within the budget that mails have."""

from collections.abc import Sequence
from functools import partial

from quartapp.database import DatabaseEngine
from quartapp.mail.delivery import Outcome
from quartapp.mail.sender import Sender
from quartapp.reporting.alerts.policy import Alert, Limits
from quartapp.reporting.endpoint import Endpoint
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.fallback import Fallback
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.mails.outbox import BudgetedOutbox
from quartapp.reporting.mails.summary import GroupSummary
from quartapp.reporting.report import Report
from quartapp.reporting.tables import ErrorWebhook
from quartapp.reporting.webhooks.formats import (
    Message,
    as_json,
    as_slack,
    digest_as_json,
    digest_as_slack,
)
from quartapp.reporting.webhooks.post import deliver


class WebhookOutbox(BudgetedOutbox[Message]):
    """The alerts that are posted. `is_slack` says in which of the two formats."""

    table = ErrorWebhook

    def __init__(self, letterhead: Letterhead, limits: Limits, *, is_slack: bool = False) -> None:
        super().__init__(limits)
        self._letterhead = letterhead
        self._single_as, self._digest_as = (
            (as_slack, digest_as_slack) if is_slack else (as_json, digest_as_json)
        )

    def build_single(
        self, alert: Alert, group: GroupSummary, report: Report | None, now: float
    ) -> Message:
        return self._single_as(alert, group, report, self._letterhead, now=now)

    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]], now: float) -> Message:
        return self._digest_as(alerts, self._letterhead, now=now)


class FallbackPoster(Fallback[Message]):
    """Posts what the journal holds, while the database is unreachable."""

    file = "direct-webhook"

    def __init__(self, journal: Journal, sender: "WebhookSender") -> None:
        super().__init__(journal)
        self._sender = sender

    def build_single(self, alert: Alert, group: GroupSummary, report: Report | None) -> Message:
        return self._sender.webhooks.build_single(alert, group, report, self._clock())

    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]]) -> Message:
        return self._sender.webhooks.build_digest(alerts, self._clock())

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return await self._sender.deliver(messages)


class WebhookSender(Sender[Message]):
    """Posts the messages that are due. With a `journal` it has a `fallback`."""

    def __init__(
        self,
        database: DatabaseEngine,
        endpoint: Endpoint,
        webhooks: WebhookOutbox,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(database, webhooks, partial(deliver, endpoint=endpoint), "Webhooks")
        self.endpoint = endpoint
        self.webhooks = webhooks
        self.fallback = FallbackPoster(journal, self) if journal is not None else None
