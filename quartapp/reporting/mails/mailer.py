"""The mailer: from the outbox to the operators, at least once.

Building is done in a thread, sending with aiosmtplib: however slow the mail server is, no request
waits for it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from email.message import EmailMessage

from quartapp.database import Database
from quartapp.database.dialect import database_now
from quartapp.mail.smtp import Mail, Outcome, Server, deliver
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.mails import outbox
from quartapp.reporting.mails.message import Letterhead, build_digest, build_message
from quartapp.reporting.mails.outbox import Letter

_logger = logging.getLogger(__name__)


class Mailer:
    """Sends what is due. Any number of them may work on one database."""

    def __init__(
        self, database: Database, server: Server, letterhead: Letterhead, limits: Limits
    ) -> None:
        self.server = server
        self.letterhead = letterhead
        self._database = database
        self._limits = limits

    async def send_due(self) -> int:
        """Send what is due now; the number of mails that the server took.

        Raises what the database raises; what the server does wrong is in the outbox.
        """
        async with self._database.session(write=False) as reader:
            now = await database_now(reader)
            if not await outbox.is_any_due(reader, now):
                return 0
        async with self._database.begin() as session:
            leased = await outbox.lease(session, self._limits, now)
        sent = await self._send_single(leased.single) if leased.single else 0
        return sent + (await self._send_digest(leased.digest) if leased.digest else 0)

    async def _send_single(self, letters: Sequence[Letter]) -> int:
        now = await self._now()
        built = await asyncio.to_thread(self._build, letters, now)
        mails = [mail for mail in built if isinstance(mail, Mail)]
        outcomes = iter(await deliver(mails, self.server) if mails else [])
        results = [next(outcomes) if isinstance(one, Mail) else one for one in built]
        await self._record_outcomes(letters, results, digest=False)
        return sum(result.is_sent for result in results)

    async def _send_digest(self, letters: Sequence[Letter]) -> int:
        now = await self._now()
        alerts = [(letter.alert, letter.group) for letter in letters]
        message = await asyncio.to_thread(build_digest, alerts, self.letterhead, now=now)
        outcomes = await deliver([self.envelope(message)], self.server)
        # A digest that is refused says nothing against the single mails in it.
        result = replace(outcomes[0], own=False)
        await self._record_outcomes(letters, [result] * len(letters), digest=True)
        return int(result.is_sent)

    def _build(self, letters: Sequence[Letter], now: float) -> list[Mail | Outcome]:
        return [self._build_one(letter, now) for letter in letters]

    def _build_one(self, letter: Letter, now: float) -> Mail | Outcome:
        try:
            message = build_message(
                letter.alert, letter.group, letter.report, self.letterhead, now=now
            )
            return self.envelope(message)
        except Exception as error:  # noqa: BLE001 - one bad report must not stop the others' mails
            _logger.error("A mail could not be built: %s", type(error).__name__)
            text = f"the mail could not be built: {type(error).__name__}"
            return Outcome(text, permanent=True, own=True)

    def envelope(self, message: EmailMessage) -> Mail:
        """A message, ready for the wire."""
        sender = str(message["From"].addresses[0].addr_spec)
        return Mail(sender, self.letterhead.recipients, message.as_bytes())

    async def _record_outcomes(
        self, letters: Sequence[Letter], results: Sequence[Outcome], *, digest: bool
    ) -> None:
        failed = next((result for result in results if result.error), None)
        if failed is not None:
            _logger.error("Mails could not be sent: %s", failed.error)
        outcomes = [(letter.id, result) for letter, result in zip(letters, results, strict=True)]
        async with self._database.begin() as session:
            await outbox.record_outcomes(
                session, outcomes, digest=digest, now=await database_now(session)
            )

    async def _now(self) -> float:
        async with self._database.session(write=False) as session:
            return await database_now(session)
