"""What is delivered, where to, and what came of it. `smtp` delivers."""

import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self

MAILBOX = "mail.mailbox"
"""The key in `app.extensions` of the `mailbox.Mailbox` of an application that is being developed.

Only a development server sets it, before the application serves; what sends mails keeps them there
then, whatever MAIL_SERVER is.
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server. With `starttls` or `tls`, nothing is sent without encryption.

    `context` replaces the default one, which trusts `ca_file` or the authorities of the system.
    `timeout` is the limit for the connection and for each command, in seconds (10).
    """

    host: str
    port: int = 25
    starttls: bool = False
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    context: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as the server gets it: its envelope, and the bytes of its message."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @classmethod
    def of(cls, message: EmailMessage, recipients: tuple[str, ...]) -> Self:
        """A message to these recipients, from the first address of its `From` header."""
        return cls(str(message["From"].addresses[0].addr_spec), recipients, message.as_bytes())


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a mail, which was sent if there is no `error`.

    `rejected`: the server will never accept this mail, but may accept others. `tried` is False if
    the mail's turn did not come. A mail that was sent can have a `note`: some of its recipients
    were refused.
    """

    error: str = ""
    rejected: bool = False
    tried: bool = True
    note: str = ""

    @property
    def is_sent(self) -> bool:
        return self.tried and not self.error
