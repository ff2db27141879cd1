"""The mailer: from an outbox to the mail server, with aiosmtplib."""

from collections.abc import Sequence

from quartapp.database import DatabaseEngine
from quartapp.mail.delivery import Mail, Outcome, Server
from quartapp.mail.mailbox import Mailbox
from quartapp.mail.sender import Outbox, Sender
from quartapp.mail.smtp import deliver


async def deliver_to(server: Server | Mailbox, mails: Sequence[Mail]) -> list[Outcome]:
    """Send mails, or keep them in a mailbox; an outcome for each, in their order. Never raises."""
    return await (server.deliver(mails) if isinstance(server, Mailbox) else deliver(mails, server))


class Mailer(Sender[Mail]):
    """Sends the mails that are due in one outbox, those of a round over one connection."""

    def __init__(
        self, database: DatabaseEngine, server: Server | Mailbox, outbox: Outbox[Mail]
    ) -> None:
        super().__init__(database, outbox, self._hand_over, "Mails")
        self.server = server

    async def _hand_over(self, mails: Sequence[Mail]) -> Sequence[Outcome]:
        return await deliver_to(self.server, mails)
