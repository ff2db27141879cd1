"""The outbox of account mails: what is still true when a mail's turn comes is sent."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.mail.delivery import Mail
from quartapp.mail.outbox import OutboxRow, Outgoing, lease, select_due
from quartapp.microblog.accounts.links import Links, Purpose
from quartapp.microblog.accounts.message import AccountLetter, Letterhead, build_message
from quartapp.microblog.models.account import Account, find_accounts
from quartapp.microblog.models.account_mail import VOID, AccountMail, MailKind, prune_mails


class AccountOutbox:
    """The account mails that a mailer sends."""

    table: type[OutboxRow] = AccountMail

    def __init__(self, letterhead: Letterhead, links: Links) -> None:
        self._letterhead = letterhead
        self._links = links

    async def lease(self, session: AsyncSession, now: float) -> list[Outgoing[Mail]]:
        """Lease what is due: one mail of a kind to each address, however often it was asked for."""
        await prune_mails(session, now)
        due = await select_due(session, AccountMail, now)
        accounts = await _accounts_of(session, due)
        newest = {(row.kind, row.recipient, row.user_id): row for row in due}
        mails = []
        for row in due:
            letter = self._letter(row, accounts)
            if letter is None or newest[row.kind, row.recipient, row.user_id] is not row:
                row.state, row.sent_at = VOID, now
                continue
            lease([row], now)
            mails.append(Outgoing((row.id,), partial(self._build, letter, now)))
        return mails

    def _letter(self, row: AccountMail, accounts: dict[int | str, Account]) -> AccountLetter | None:
        """What a row says now; None if there is nothing to say any more."""
        kind = MailKind(row.kind)
        key = row.recipient if kind is MailKind.RESET else row.user_id
        account = accounts.get(key) if key is not None else None
        path = ""
        match kind, account:
            case MailKind.RESET | MailKind.CONFIRM | MailKind.CHANGE, None:
                return None
            case MailKind.RESET, Account():
                path = f"/reset_password/{self._links.sign(Purpose.RESET_PASSWORD, account)}"
            case MailKind.CONFIRM, Account():
                if account.email != row.recipient or account.email_confirmed_at is not None:
                    return None
                path = f"/confirm_email/{self._links.sign(Purpose.CONFIRM_EMAIL, account)}"
            case MailKind.CHANGE, Account():
                token = self._links.sign(Purpose.CHANGE_EMAIL, account, row.recipient)
                path = f"/change_email/{token}"
            case MailKind.GUESSING, _:
                path = "/security"
        username = account.username if account else row.username
        return AccountLetter(row.id, kind, row.recipient, username, path)

    def _build(self, letter: AccountLetter, now: float) -> Mail:
        message = build_message(letter, self._letterhead, now=now)
        return Mail.of(message, (letter.recipient,))


async def _accounts_of(
    session: AsyncSession, rows: Sequence[AccountMail]
) -> dict[int | str, Account]:
    """The accounts of rows, by their id and by their address."""
    ids = {row.user_id for row in rows if row.user_id is not None}
    emails = {row.recipient for row in rows if row.kind == MailKind.RESET}
    found: dict[int | str, Account] = {}
    for account in await find_accounts(session, ids, emails):
        found |= {account.id: account, account.email: account}
    return found
