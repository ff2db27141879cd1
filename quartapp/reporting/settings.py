"""The settings of reporting, with the tutorial's names for those that it has."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from quartapp.mail.settings import MailSettings


class ReportingSettings(MailSettings):
    """What is reported, and who is notified by mail."""

    environment: str = "production"
    """The name of the environment in reports and the subjects of mails."""
    release: str = ""
    """The version of the application that runs; the default is the output of `git describe`."""

    admins: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("admins", "mail_admins")
    )
    """Mail addresses of the operators, as a sequence or as one text, separated by commas."""
    mail_subject_prefix: str = ""
    """The beginning of each subject; the default names application and environment."""
    inbox_url: str = ""
    """The public address of the inbox; without it mails have no links."""

    errors_every_occurrence: bool = False
    """Mail each occurrence, within the hourly budget of mails."""
    errors_fsync: bool = False
    """Write the journal to the disk itself (fdatasync) ten times a second."""
    sentry_dsn: SecretStr | None = None
    """The Sentry project to which reports are also sent; needs the extra "sentry"."""

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
