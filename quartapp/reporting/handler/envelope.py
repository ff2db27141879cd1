"""The arguments of a handler, as a mail server and addresses."""

import logging.handlers
import ssl
from email.utils import getaddresses
from typing import Any, NamedTuple

from quartapp.mail.delivery import Server

SUBJECT = "subject"
"""The name under which a record's subject is among the further fields of its report."""


class Envelope(NamedTuple):
    """To whom mails are sent, and by which server."""

    server: Server
    sender: str
    recipients: tuple[str, ...]
    subject: str


def envelope_of(handler: logging.handlers.SMTPHandler) -> Envelope:
    """What a handler has in its attributes now.

    Raises ValueError without an address, and OSError if the files in `secure` cannot be read.
    """
    recipients = tuple(address for _, address in getaddresses(list(handler.toaddrs)) if address)
    if not recipients:
        raise ValueError(f"toaddrs has no mail address: {handler.toaddrs!r}")
    secure = handler.secure
    server = Server(
        host=handler.mailhost,
        port=handler.mailport or 25,
        starttls=secure is not None,
        username=handler.username or "",
        password=handler.password if handler.username else "",
        context=None if secure is None else _context(secure),
        timeout=handler.timeout,
    )
    return Envelope(server, handler.fromaddr, recipients, handler.subject)


def _context(secure: object) -> ssl.SSLContext | None:
    """The context of `()`, `(keyfile,)`, `(keyfile, certfile)`, `(keyfile, certfile, context)`, or
    of a context alone. None is the default one, which checks the server's certificate."""
    given: list[Any] = list(secure) if isinstance(secure, tuple | list) else [secure]
    for each in given:
        if isinstance(each, ssl.SSLContext):
            return each
    if not any(given):
        return None
    keyfile, certfile = (*given, None)[:2]
    context = ssl.create_default_context()
    # One file may have both.
    context.load_cert_chain(certfile or keyfile, keyfile)
    return context
