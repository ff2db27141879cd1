"""Accounts by mail: links that only the owner of a mailbox gets, and the mails that bring them.

A mail is queued in the transaction of what it is about, and built when it is sent: so its link is
signed then, and is valid for its whole time however long the mail server was down. Here are no
pages; those are in `web.accounts`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Literal, cast

from quart import Quart, current_app
from sqlalchemy.exc import SQLAlchemyError

from quartapp.database import DatabaseEngine
from quartapp.mail.delivery import MAILBOX, Server
from quartapp.microblog.accounts.links import Links
from quartapp.microblog.config import Settings
from quartapp.microblog.models.account import find_account
from quartapp.microblog.models.account_mail import MailKind, queue_mail, was_queued_lately
from quartapp.reporting.pipeline import end, repeat

if TYPE_CHECKING:
    from quartapp.mail.mailbox import Mailbox
    from quartapp.mail.mailer import Mailer

EVERY = 1.0
"""Seconds between two looks at the outbox."""

_WARN_EVERY = 86_400.0

_logger = logging.getLogger(__name__)


class Accounts:
    """Links and mails of one application; `app.extensions["accounts"]`."""

    def __init__(self, settings: Settings, database: DatabaseEngine) -> None:
        self.links = Links(settings.secret_key, *settings.secret_key_fallbacks)
        self.confirmation: Literal["off", "soft", "required"] = "off"
        self.mailer: Mailer | None = None
        self._settings = settings
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        if settings.mails_people and (server := settings.smtp_server()) is not None:
            self._mail_to(server)

    @property
    def can_mail(self) -> bool:
        """Whether people can be sent mails: there is a mail server, and an address for links."""
        return self.mailer is not None

    def may_write(self, *, is_confirmed: bool) -> bool:
        """Whether a person may write whose address is confirmed, or is not."""
        return self.confirmation != "required" or is_confirmed

    def _mail_to(self, server: "Server | Mailbox") -> None:
        settings = self._settings
        self.mailer = _mailer(settings, self._database, server, self.links)
        is_chosen = settings.mails_people or "email_confirmation" in settings.model_fields_set
        chosen = settings.email_confirmation if is_chosen else "soft"  # the default with mails
        self.confirmation = chosen or "off"

    async def start(self) -> None:
        """Send what is due from now on; in development, keep it in the server's mailbox."""
        mailbox: Mailbox | None = current_app.extensions.get(MAILBOX)
        if mailbox is not None:
            self._mail_to(mailbox)
        elif self._settings.mail_server and not self._settings.public_url:
            _logger.warning("People get no mails: set PUBLIC_URL, to which their links lead")
        if self.mailer is not None:
            self._task = asyncio.create_task(repeat(EVERY, self._send), name="account mails")

    async def stop(self) -> None:
        """End the task. What is not sent yet waits in the outbox for the next start."""
        if self._task is not None:
            await end(self._task)

    async def _send(self) -> None:
        assert self.mailer is not None
        try:
            await self.mailer.send_due()
        except Exception as error:  # noqa: BLE001 - the outbox keeps mails; the next round tries again
            if not self._is_failing:
                _logger.error("Account mails wait in the outbox: %s", type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False


def _mailer(
    settings: Settings, database: DatabaseEngine, server: "Server | Mailbox", links: Links
) -> "Mailer":
    # Only here: without mails a start does not load what makes and sends them.
    from quartapp.mail.mailer import Mailer
    from quartapp.microblog.accounts.message import Letterhead
    from quartapp.microblog.accounts.outbox import AccountOutbox

    address = settings.public_url or f"http://127.0.0.1:{settings.port}"  # in development only
    letterhead = Letterhead(settings.sender(), address, settings.contact)
    return Mailer(database, server, AccountOutbox(letterhead, links))


def init_app(app: Quart, settings: Settings, database: DatabaseEngine) -> None:
    """Give an application its account mails, which are sent while it serves."""
    own = app.extensions["accounts"] = Accounts(settings, database)
    app.before_serving(own.start)
    app.after_serving(own.stop)


async def warn_of_guessing(app: Quart, *, user_id: int, address: str) -> None:
    """Have a mail sent to somebody whose password is being guessed; one a day.

    A receiver of `credentials.guessing`.
    """
    own: Accounts = app.extensions["accounts"]
    if not own.can_mail:
        return
    database: DatabaseEngine = app.extensions["database"]
    try:
        async with database.begin() as session:
            account = await find_account(session, user_id)
            kind = MailKind.GUESSING
            if account and not await was_queued_lately(session, kind, user_id, _WARN_EVERY):
                await queue_mail(session, kind, account.email, user_id=user_id)
    except (SQLAlchemyError, OSError) as error:
        _logger.error("An owner gets no mail about guessing: %s", type(error).__name__)


def accounts() -> Accounts:
    """The accounts of the current application."""
    return cast(Accounts, current_app.extensions["accounts"])
