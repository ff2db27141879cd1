"""The settings of reporting, under the names of the tutorial where it has them."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from quartapp.mail.settings import MailSettings


class ReportingSettings(MailSettings):
    """What is reported, and who is notified by mail."""

    environment: str = "production"
    """Where the application runs, as reports and the subjects of mails name it."""
    release: str = ""
    """The version of the application that runs; the default is what git describes."""

    admins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validation_alias=AliasChoices("admins", "mail_admins")
    )
    """Mail addresses of the operators, as a sequence or in one text with commas between them."""
    mail_subject_prefix: str = ""
    """The beginning of each subject; the default names application and environment."""
    inbox_url: str = ""
    """The public address of the inbox; without it mails have no links."""

    errors_every_occurrence: bool = False
    """Mail each occurrence, within the hourly budget of mails."""
    errors_fsync: bool = False
    """Write the journal through to the disk ten times a second."""
    sentry_dsn: SecretStr | None = None
    """Where reports are sent too; needs the extra "sentry"."""

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
