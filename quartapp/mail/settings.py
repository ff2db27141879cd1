"""The settings of the mail server, under the names of the tutorial."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from quartapp.mail.delivery import Server
from quartapp.settings import HeaderText, PartSettings


class MailSettings(PartSettings):
    """Without `mail_server` no mail is sent."""

    mail_server: HeaderText | None = None
    """The name or address of the SMTP server."""
    mail_port: int = Field(default=25, ge=1, le=65535)
    mail_use_tls: bool = False
    """STARTTLS: nothing is sent if the server does not offer it."""
    mail_use_ssl: bool = False
    """TLS from the first byte, usually on port 465."""
    mail_username: HeaderText | None = None
    """The account; without one there is no login."""
    mail_password: SecretStr | None = None
    mail_from: HeaderText | None = None
    """The sender; the default is `mail_username` if that is an address."""

    @field_validator("mail_server", "mail_username", "mail_password", mode="before")
    @classmethod
    def _digits(cls, value: object) -> object:
        """`from_prefixed_env` reads 12345678 as a number."""
        return str(value) if type(value) is int else value

    @model_validator(mode="after")
    def _one_kind_of_tls(self) -> Self:
        if self.mail_use_tls and self.mail_use_ssl:
            raise ValueError(
                "MAIL_USE_SSL: expected at most one of MAIL_USE_TLS (STARTTLS) and MAIL_USE_SSL"
            )
        return self

    def smtp_server(self) -> Server | None:
        """The server that mails are sent to; None if there is none."""
        if not self.mail_server:
            return None
        return Server(
            host=self.mail_server,
            port=self.mail_port,
            starttls=self.mail_use_tls,
            tls=self.mail_use_ssl,
            username=self.mail_username or "",
            password=self.mail_password.get_secret_value() if self.mail_password else "",
        )

    def sender(self) -> str:
        """The sender's address. Many providers accept only that of the account that logs in."""
        if self.mail_from:
            return self.mail_from
        username = self.mail_username or ""
        return username if "@" in username else f"no-reply@{self.mail_server or 'localhost'}"
