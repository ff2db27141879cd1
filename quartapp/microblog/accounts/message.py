"""What the account mails say; pure. They are built in a thread."""

from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from quartapp.mail import message as mail
from quartapp.microblog.models.account_mail import MailKind

_templates = mail.templates(Path(__file__).parent / "templates")

_ELSE = "If it was not you, somebody may know your password: "


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same on all mails: sender, the public address of the site, whom to ask."""

    sender: str
    public_url: str
    contact: str = ""


@dataclass(frozen=True, slots=True)
class _Text:
    """A mail's subject, what it says before its link, the link's words, and what it says after."""

    subject: str
    before: tuple[str, ...]
    button: str = ""
    after: tuple[str, ...] = ()


_TEXTS = {
    MailKind.RESET: _Text(
        "Set a new password",
        ("Somebody, probably you, asked for a new password for your account at Microblog.",),
        "Set a new password",
        (
            "The link works once, for one hour.",
            "If you did not ask for it, ignore this mail: your password stays as it is.",
        ),
    ),
    MailKind.CONFIRM: _Text(
        "Confirm your email address",
        ("Please confirm that this address belongs to your account at Microblog.",),
        "Confirm this address",
        (
            "The link works for three days.",
            "If you have no account there, ignore this mail: somebody mistyped an address.",
        ),
    ),
    MailKind.CHANGE: _Text(
        "Confirm your new email address",
        ("You asked for this address to be that of your account at Microblog.",),
        "Use this address",
        (
            "The link works for one day. Until you follow it, your old address stays.",
            "If you did not ask for it, ignore this mail.",
        ),
    ),
    MailKind.EMAIL_CHANGED: _Text(
        "Your email address was changed",
        (
            "The email address of your account at Microblog was changed. This mail went to the "
            "old address.",
        ),
        after=(f"{_ELSE}ask the operator of this site for help.",),
    ),
    MailKind.PASSWORD_CHANGED: _Text(
        "Your password was changed",
        ("The password of your account at Microblog was changed. All other logins have ended.",),
        after=(f'{_ELSE}set a new one with "Forgot your password?" on the login page.',),
    ),
    MailKind.GUESSING: _Text(
        "Somebody is guessing your password",
        (
            "Many wrong passwords were given for your account at Microblog. Further ones from the "
            "same network are refused for a while.",
        ),
        "See what happened",
        (
            "If it was not you, change your password, unless it is long and used nowhere else.",
            "There is at most one such mail a day.",
        ),
    ),
    MailKind.DELETED: _Text(
        "Your account was deleted",
        ("Your account at Microblog was deleted, as you asked. This cannot be undone.",),
        after=("If it was not you, ask the operator of this site for help.",),
    ),
}


@dataclass(frozen=True, slots=True)
class AccountLetter:
    """One mail. `path` is that of its link, from the site's public address; "" for none."""

    id: int
    kind: MailKind
    recipient: str
    username: str
    path: str = ""


def build_message(letter: AccountLetter, letterhead: Letterhead, *, now: float) -> EmailMessage:
    """The mail; its Message-ID is made of its row, so a second copy is the same mail.

    Its link leads to the public address from the settings, whatever a client sent as Host.
    """
    text = _TEXTS[letter.kind]
    domain = mail.domain_of(urlsplit(letterhead.public_url).hostname or "localhost")
    message = mail.addressed(
        letterhead.sender, (letter.recipient,), name="Microblog", domain=domain, now=now
    )
    message["Subject"] = f"Microblog: {text.subject}"
    message["Message-ID"] = f"<account.{letter.id}.{letter.kind}@{domain}>"
    values = {
        "text": text,
        "username": letter.username,
        "link": letterhead.public_url + letter.path if letter.path else "",
        "site": letterhead.public_url,
        "contact": letterhead.contact,
    }
    plain, html = (mail.render(_templates, f"mail.{kind}", **values) for kind in ("txt", "html"))
    return mail.fill(message, plain, html)
