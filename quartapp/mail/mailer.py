"""The mailer: from an outbox to the mail server, at least once.

Mails are built in a thread and sent with aiosmtplib: no request waits for a slow mail server.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database
from quartapp.database.dialect import database_now
from quartapp.mail.delivery import Mail, Outcome, Server
from quartapp.mail.outbox import OutboxRow, OutgoingMail, is_any_due, record_outcomes
from quartapp.mail.smtp import deliver
from quartapp.mail.strings import without_names

_logger = logging.getLogger(__name__)


class Outbox(Protocol):
    """One kind of mails: the table in which they wait, and what they say."""

    table: type[OutboxRow]

    async def lease(self, session: AsyncSession, now: float) -> Sequence[OutgoingMail]:
        """Lease the mails to send now, with `outbox.select_due` and `outbox.lease`."""


class Mailer:
    """Sends what is due in one outbox. Any number of mailers may work on one database."""

    def __init__(self, database: Database, server: Server, outbox: Outbox) -> None:
        self.server = server
        self.outbox = outbox
        self._database = database

    async def send_due(self) -> int:
        """Send what is due now over one connection; returns how many mails the server accepted.

        Raises the database's errors. Faults of the mail server are recorded in the outbox.
        """
        async with self._database.session(write=False) as reader:
            now = await database_now(reader)
            if not await is_any_due(reader, self.outbox.table, now):
                return 0
        async with self._database.begin() as session:
            leased = await self.outbox.lease(session, now)
        built = await asyncio.to_thread(_build, leased)
        mails = [mail for mail in built if isinstance(mail, Mail)]
        delivered = iter(await deliver(mails, self.server) if mails else [])
        outcomes = [next(delivered) if isinstance(mail, Mail) else mail for mail in built]
        await self._record(leased, outcomes)
        return sum(outcome.is_sent for outcome in outcomes)

    async def _record(self, leased: Sequence[OutgoingMail], outcomes: Sequence[Outcome]) -> None:
        failed = next((outcome for outcome in outcomes if outcome.error), None)
        if failed is not None:
            # The whole text is in the outbox, beside the recipient.
            _logger.error("Mails could not be sent: %s", without_names(failed.error))
        async with self._database.begin() as session:
            by_row = list(_by_row(leased, outcomes))
            now = await database_now(session)
            await record_outcomes(session, self.outbox.table, by_row, now)


def _build(leased: Sequence[OutgoingMail]) -> list[Mail | Outcome]:
    return [_build_one(mail) for mail in leased]


def _build_one(mail: OutgoingMail) -> Mail | Outcome:
    try:
        return mail.build()
    except Exception as error:  # noqa: BLE001 - one mail that cannot be built must not stop others
        text = f"the mail could not be built: {type(error).__name__}"
        return Outcome(text, rejected=True)


def _by_row(
    leased: Sequence[OutgoingMail], outcomes: Sequence[Outcome]
) -> Iterator[tuple[int, Outcome]]:
    for mail, outcome in zip(leased, outcomes, strict=True):
        if len(mail.ids) > 1:  # which of the rows made the server reject it is unknown
            outcome = replace(outcome, rejected=False)
        yield from ((row_id, outcome) for row_id in mail.ids)
