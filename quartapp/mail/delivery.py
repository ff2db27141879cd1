"""What is delivered, where to, and what came of it. `smtp` delivers."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server. With `starttls` or `tls`, nothing is sent without encryption."""

    host: str
    port: int = 25
    starttls: bool = False
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None


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
