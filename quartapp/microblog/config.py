"""The settings: typed, validated, and the only place that reads the environment.

Values come from the environment, then from a `.env` file in the working directory, then from the
defaults. Programs call `load_settings()`, which raises one `ConfigurationError` that names every
variable with a fault and says what was expected.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from quartapp.database.settings import DatabaseSettings
from quartapp.database.url import async_url
from quartapp.errors.settings import AdmissionSettings, Contact
from quartapp.logfile.settings import LogSettings
from quartapp.metrics.settings import MetricsSettings
from quartapp.permissions import make_private_folder
from quartapp.reporting.settings import ReportingSettings
from quartapp.serving.settings import ServingSettings
from quartapp.settings import ConfigurationError
from quartapp.sockets import is_loopback
from quartapp.throttling.settings import LimitText, ThrottlingSettings

PASSWORD_COST = 15
"""The default, and the least in production: 32 MB and a quarter of a second for each hash."""

SECRET_KEY_COMMAND = "python -c 'import secrets; print(secrets.token_hex())'"

INBOX_PATH = "/errors"
"""Where administrators look at errors."""

# Keys that are printed in this project's files, in the tutorial or in the documentation of Flask
# and Quart: anybody who has read these could forge a session.
_PUBLISHED_KEYS = (
    "you-will-never-guess",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "5f352379324c22463451387a0aec5d2f",
    "development-only-not-a-secret-0123456789",
    "change-me-to-the-output-of-the-command-above",
)
_DEVELOPMENT_KEY = "development-only-not-a-secret-0123456789"


class Settings(
    ReportingSettings,
    LogSettings,
    MetricsSettings,
    AdmissionSettings,
    ThrottlingSettings,
    ServingSettings,
    DatabaseSettings,
):
    """Everything that can be set, one field per variable (`POSTS_PER_PAGE` is `posts_per_page`).

    An instance is complete and consistent: `secret_key`, `database_url` and `cookie_secure` have
    values. It only uses what is passed; raises pydantic's ValidationError. `load_settings()` reads
    the environment, and raises a readable error.
    """

    model_config = ConfigDict(validate_default=True)

    environment: Literal["production", "development", "testing"] = "production"
    debug: bool = False
    secret_key: str = Field(default="", validate_default=True)
    secret_key_fallbacks: tuple[str, ...] = ()

    cookie_secure: bool | None = None
    hsts_seconds: int = Field(default=31_536_000, ge=0)
    instance_path: Path = Path("instance")
    posts_per_page: int = Field(default=25, ge=1, le=100)
    password_threads: int = Field(default=1, ge=1, le=64)
    password_queue: int = Field(default=24, ge=0, le=10_000)
    password_cost: int = Field(default=PASSWORD_COST, ge=7, le=20)
    limit_passwords: LimitText = "10 per 15 minutes"
    limit_passwords_of_address: LimitText = "100 per 15 minutes"
    limit_registrations: LimitText = "30 per hour"
    limit_posts: LimitText = "60 per 10 minutes"
    limit_tokens: LimitText = "60 per hour"
    limit_mails: LimitText = "5 per hour"
    limit_api: LimitText = "1200 per minute"
    contact: Contact = ""
    public_url: str = ""
    email_confirmation: Literal["off", "soft", "required"] | None = None

    @field_validator("instance_path", "log_dir", "access_log", mode="after")
    @classmethod
    def _absolute(cls, value: Path | bool) -> Path | bool:
        return value.expanduser().absolute() if isinstance(value, Path) else value

    @field_validator("public_url")
    @classmethod
    def _address_of_a_site(cls, value: str) -> str:
        parts = urlsplit(value)
        is_whole = parts.scheme in {"http", "https"} and parts.hostname and value.isprintable()
        if value and (not is_whole or "@" in parts.netloc or parts.query or parts.fragment):
            raise ValueError("expected the address of this site, such as https://example.com")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _strong(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("environment") != "production":
            return value or _DEVELOPMENT_KEY
        if not value:
            raise ValueError(f"is required in production; make one with: {SECRET_KEY_COMMAND}")
        if _is_weak(value):
            raise ValueError(
                "is weak: expected at least 32 characters, 10 of them different, and nothing "
                f"that is printed in a document; make one with: {SECRET_KEY_COMMAND}"
            )
        return value

    @field_validator("secret_key_fallbacks", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return [key.strip() for key in value.split(",")] if isinstance(value, str) else value

    @field_validator("secret_key_fallbacks")
    @classmethod
    def _older_keys(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("has an empty key: expected older keys with commas between them")
        if info.data.get("secret_key") in value:
            raise ValueError("repeats SECRET_KEY: expected only keys that were there before it")
        if len(set(value)) < len(value):
            raise ValueError("has the same key twice")
        if info.data.get("environment") == "production" and any(map(_is_weak, value)):
            raise ValueError(
                "has a weak key: expected at least 32 characters for each, 10 of them different, "
                "and nothing that is printed in a document"
            )
        return value

    @field_validator("password_cost")
    @classmethod
    def _costly(cls, value: int, info: ValidationInfo) -> int:
        if value < PASSWORD_COST and info.data.get("environment") == "production":
            raise ValueError(f"expected {PASSWORD_COST} or more in production")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # The model is frozen, and this is the last step of its construction.
        if self.environment == "testing" and "throttling" not in self.model_fields_set:
            object.__setattr__(self, "throttling", False)
        if self.cookie_secure is None:
            object.__setattr__(self, "cookie_secure", self._default_cookie_secure())
        if not self.database_url:
            url = async_url(f"sqlite:///{self.instance_path / 'quartapp.db'}")
            object.__setattr__(self, "database_url", url.render_as_string(hide_password=False))
        if not self.pid_file:
            object.__setattr__(self, "pid_file", str(self.instance_path / "server.pid"))
        if not self.public_url and is_loopback(self.host) and not self.proxy_hops:
            host = f"[{self.host}]" if ":" in self.host else self.host
            object.__setattr__(self, "public_url", f"http://{host}:{self.port}")
        if not self.inbox_url and self.public_url:
            object.__setattr__(self, "inbox_url", f"{self.public_url}{INBOX_PATH}")
        if self.email_confirmation is None:
            object.__setattr__(self, "email_confirmation", "soft" if self.mails_people else "off")
        if self.email_confirmation == "required" and not self.mails_people:
            raise ValueError("EMAIL_CONFIRMATION: required needs MAIL_SERVER and PUBLIC_URL")
        return self

    @property
    def mails_people(self) -> bool:
        """Whether people get mails about their accounts, whose links lead to PUBLIC_URL."""
        return bool(self.mail_server and self.public_url)

    def _default_cookie_secure(self) -> bool:
        return self.environment == "production"

    def to_config(self) -> dict[str, Any]:
        """The settings as plain values under their upper-case names, for `app.config`."""
        return {
            name.upper(): _plain(getattr(self, name)) for name in sorted(type(self).model_fields)
        }


class LocalSettings(Settings):
    """Settings for `make run`: production on a developer's machine, without any preparation.

    A missing SECRET_KEY is generated once and kept in INSTANCE_PATH, readable only by its owner.
    Further lines of that file are older keys, as in SECRET_KEY_FALLBACKS.
    Cookies are sent over http as long as HOST is a loopback address.
    """

    @model_validator(mode="before")
    @classmethod
    def _own_key(cls, data: dict[str, Any]) -> dict[str, Any]:
        if not data.get("secret_key"):
            instance_path = Path(data.get("instance_path") or "instance").expanduser().absolute()
            key, *older = kept_secret_keys(instance_path)
            data = {"secret_key_fallbacks": older} | data | {"secret_key": key}
        return data

    def _default_cookie_secure(self) -> bool:
        return super()._default_cookie_secure() and not is_loopback(self.host)


class ToolSettings(Settings):
    """Settings for commands. They sign nothing, so a random key replaces a missing SECRET_KEY."""

    @model_validator(mode="before")
    @classmethod
    def _any_key(cls, data: dict[str, Any]) -> dict[str, Any]:
        return data if data.get("secret_key") else {**data, "secret_key": secrets.token_hex()}


def debug_switches() -> list[str]:
    """Which of FLASK_DEBUG and QUART_DEBUG are on, by the rule of Flask and Quart."""
    values = _environment()
    off = {"", "0", "false", "no"}
    switches = ("flask_debug", "quart_debug")
    return [name.upper() for name in switches if values.get(name, "").lower() not in off]


def _is_weak(key: str) -> bool:
    return len(key) < 32 or len(set(key)) < 10 or key in _PUBLISHED_KEYS


def kept_secret_keys(instance_path: Path) -> list[str]:
    """The secret keys in this folder, one a line. The first call generates one (mode 0600).

    Raises ConfigurationError.
    """
    path = instance_path / "secret_key"
    try:
        make_private_folder(instance_path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").split() or [""]
    except OSError as error:
        raise ConfigurationError(
            f"INSTANCE_PATH: a secret key cannot be kept in {instance_path}: {error.strerror}"
        ) from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        key = secrets.token_hex()
        file.write(key + "\n")
    return [key]


def load_settings(kind: type[Settings] = Settings, **values: Any) -> Settings:
    """The settings of this process; `values` take precedence over the environment, which is read.

    Raises ConfigurationError, whose text has a line for each fault. The text does not repeat
    values, because a password may have been put into the wrong variable.
    """
    try:
        return kind(**_environment() | values)
    except ValidationError as error:
        raise ConfigurationError.of(error) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f".env: expected UTF-8, found an invalid byte at position {error.start}"
        ) from None


def _environment(file: Path = Path(".env")) -> dict[str, str]:
    """The variables of `.env` and of the environment, by their names in lower case.

    The environment takes precedence. A variable that is set to nothing counts as not set.
    """
    values: dict[str, str] = {}
    if file.is_file():
        from dotenv import dotenv_values  # 2 ms of a start, for those who have such a file

        values = _set(dotenv_values(file, encoding="utf-8"))
    given = _set(os.environ)  # noqa: TID251 the one reader
    if "mail_admins" in given:
        values.pop("admins", None)  # another name of the same setting
    return values | given


def _set(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name.lower(): value for name, value in variables.items() if value}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return value
