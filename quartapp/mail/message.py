"""What all mails of an application share: addresses, date, headers, text and HTML; pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.headerregistry import Group as Recipients
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from quartapp.mail.strings import ascii_address, one_line, plain

_LINE = 500


class _OneLine(EmailPolicy):
    """Headers in ASCII are not folded: the standard library would break the line after `Subject:`
    and `Message-ID:`. RFC 5322, 2.2.3 allows that, but not all mail programs understand it."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        line = f"{name}: {value}"
        if line.isascii() and len(line) <= _LINE and "\n" not in line:
            return f"{line}\r\n".encode()
        if name.lower() == "subject":  # Python 3.13.0 doubles spaces where it folds such a text
            words = Header(str(value), "utf-8", header_name=name).encode(linesep="\r\n")
            return f"{name}: {words}\r\n".encode()
        return super().fold_binary(name, value)


_POLICY = _OneLine(linesep="\r\n")


def addressed(
    sender: str, recipients: Sequence[str], *, name: str, domain: str, now: float
) -> EmailMessage:
    """A message with its addresses and its date: ASCII on the wire, whatever they contain.

    `name` is the sender's name unless `sender` has one, `domain` that of a sender's address that
    cannot be written. An automatic answer to it is not asked for.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = _sender(sender, name, domain)
    known = [Address(addr_spec=to) for to in map(ascii_address, recipients) if to]
    # an address that needs SMTPUTF8 is only in the envelope, which the mailer handles
    message["To"] = known or Recipients("undisclosed-recipients")
    message["Date"] = format_datetime(_date(now))
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    return message


def fill(message: EmailMessage, text: str, html: str) -> EmailMessage:
    """Give a message its text and its HTML. Lines are not wrapped: the encoding folds them."""
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def templates(folder: Path) -> Environment:
    """The templates of mails in a folder: HTML is escaped, and unknown names are errors.

    Its HTML extends "page.html", which is the same for all mails.
    """
    return Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent / "templates"]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def render(environment: Environment, name: str, **values: object) -> str:
    """A template with these values, as lines without invisible characters."""
    return plain(environment.get_template(name).render(values))


def domain_of(name: str) -> str:
    """A host's name as the right side of a Message-ID; "localhost" if it cannot be one."""
    address = ascii_address(f"mail@{name}")
    return token(address.rpartition("@")[2]) if address else "localhost"


def token(text: str) -> str:
    """A text as part of a Message-ID or List-Id."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:64].strip(".-") or "unknown"


def _sender(sender: str, name: str, domain: str) -> Address:
    own_name, address = parseaddr(sender)
    safe = ascii_address(address)
    if safe is None:
        safe = f"no-reply@{domain_of(domain)}"
    return Address(one_line(own_name or name), addr_spec=safe)


def _date(now: float) -> datetime:
    try:
        return datetime.fromtimestamp(now, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
