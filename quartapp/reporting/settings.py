"""The settings of reporting, with the tutorial's names for those that it has."""

from collections.abc import Callable
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from quartapp.database.url import async_url
from quartapp.mail.settings import MailSettings
from quartapp.reporting.endpoint import Endpoint, key_of
from quartapp.settings import HeaderText


class ReportingSettings(MailSettings):
    """What is reported, and who is notified by mail."""

    environment: HeaderText = "production"
    """The name of the environment in reports and the subjects of mails; in debug mode the default
    is "development"."""
    release: str = ""
    """The version of the application that runs; the default is the output of `git describe`."""

    admins: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("admins", "mail_admins")
    )
    """Mail addresses of the operators, as a sequence or as one text, separated by commas."""
    mail_subject_prefix: HeaderText = ""
    """The beginning of each subject; the default names application and environment."""
    inbox_url: HeaderText = ""
    """The public address of the inbox; without it mails have no links."""

    errors_database_url: str = ""
    """An address of SQLite or PostgreSQL for a database of errors alone; a relative file is in the
    application's instance folder. Without it errors are in the database that the application hands
    in, otherwise in the file `errors.db` in that folder.
    """
    errors_every_occurrence: bool = False
    """Mail each occurrence, within the hourly budget of mails."""
    errors_keep_days: int = Field(default=365, ge=1, le=36_500)
    """Errors that did not occur for so many days are deleted."""
    errors_fsync: bool = False
    """Write the journal to the disk itself (fdatasync) ten times a second."""
    errors_webhook_url: SecretStr | None = None
    """The address to which each alert is posted, besides mails or instead of them; a secret."""
    errors_webhook_secret: SecretStr | None = None
    """Signs what is posted, by Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
    errors_webhook_format: Literal["json", "slack"] | None = None
    """The default is `slack` for addresses of Slack, and of Discord that end with /slack."""
    errors_webhook_private: bool = False
    """Whether the address may be one of this machine or of a private network, and http."""
    sentry_dsn: SecretStr | None = None
    """The Sentry project to which reports are also sent; needs the extra "sentry"."""

    @field_validator("release", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """A number of `QUART_RELEASE=12` is a text; 1.10 would have lost its last digit."""
        if isinstance(value, float):
            raise ValueError("expected a text: put quotes around it, as a number loses its zeros")
        return str(value) if type(value) is int else value

    @field_validator("errors_database_url")
    @classmethod
    def _errors_driver(cls, value: str) -> str:
        return async_url(value).render_as_string(hide_password=False) if value else ""

    @field_validator("admins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("admins")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if "@" not in address.strip("@") or any(c.isspace() for c in address):
                raise ValueError("expected mail addresses with commas between them")
        return value

    @field_validator("errors_webhook_secret")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            key_of(value.get_secret_value())
        return value

    @field_validator("sentry_dsn")
    @classmethod
    def _dsn(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value() if value else "")
        if value and not (parts.scheme in ("http", "https") and parts.username and parts.path):
            raise ValueError("expected a DSN as Sentry shows it: https://key@host/project")
        return value

    @model_validator(mode="after")
    def _somebody_reads_the_mails(self) -> Self:
        if self.mail_server and not self.admins:
            raise ValueError(
                "ADMINS: is required with MAIL_SERVER; expected mail addresses with commas between"
            )
        return self

    @model_validator(mode="after")
    def _somewhere_to_post_to(self) -> Self:
        url = self.errors_webhook_url.get_secret_value() if self.errors_webhook_url else ""
        if url and not _is_address(url):
            raise ValueError(
                "ERRORS_WEBHOOK_URL: expected an address such as https://example.com/hook"
            )
        if url.startswith("http:") and not self.errors_webhook_private:
            raise ValueError(
                "ERRORS_WEBHOOK_URL: expected https, or http with ERRORS_WEBHOOK_PRIVATE=true"
            )
        return self

    def endpoint(self, scrub: Callable[[str], str]) -> Endpoint:
        """Where alerts are posted to; `scrub` removes secrets from a server's words."""
        assert self.errors_webhook_url is not None
        secret = self.errors_webhook_secret
        return Endpoint.of(
            self.errors_webhook_url.get_secret_value(),
            key=key_of(secret.get_secret_value()) if secret else b"",
            allows_private=self.errors_webhook_private,
            scrub=scrub,
        )

    @property
    def webhook_is_slack(self) -> bool:
        """Whether what is posted is in Slack's format."""
        if self.errors_webhook_format or not self.errors_webhook_url:
            return self.errors_webhook_format == "slack"
        parts = urlsplit(self.errors_webhook_url.get_secret_value())
        is_discord = parts.hostname in {"discord.com", "discordapp.com"}
        return parts.hostname == "hooks.slack.com" or (is_discord and parts.path.endswith("/slack"))


def _is_address(url: str) -> bool:
    try:
        Endpoint.of(url)
    except ValueError:
        return False
    return True
