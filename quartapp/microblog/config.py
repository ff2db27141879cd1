"""The settings: typed, validated, and the only place that reads the environment.

Values come from the environment, then from a `.env` file in the working directory, then from the
defaults. `load_settings()` is what programs call: it turns every fault into one
`ConfigurationError` that names each variable and what was expected of it.
"""

import os
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from quartapp.microblog.exceptions import ConfigurationError

SECRET_KEY_COMMAND = "python -c 'import secrets; print(secrets.token_hex())'"

# Keys that stand in this project's files, in the tutorial or in Flask's and Quart's documentation:
# whoever can read those can forge a session.
_PUBLISHED_KEYS = (
    "you-will-never-guess",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "5f352379324c22463451387a0aec5d2f",
    "development-only-not-a-secret-0123456789",
    "change-me-to-the-output-of-the-command-above",
)
_DEVELOPMENT_KEY = "development-only-not-a-secret-0123456789"


class Settings(BaseSettings):
    """Everything that can be set, one field a variable (`POSTS_PER_PAGE` is `posts_per_page`).

    An instance is complete and consistent: `secret_key`, `database_url` and `cookie_secure` are
    filled in. Raises pydantic's ValidationError; `load_settings()` gives a readable text instead.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    environment: Literal["production", "development", "testing"] = "production"
    debug: bool = False
    secret_key: str = Field(default="", validate_default=True)

    host: str = "127.0.0.1"
    port: int = Field(default=5000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=1024)
    proxy_hops: int = Field(default=0, ge=0, le=10)
    cookie_secure: bool | None = None
    request_limit: int = Field(default=256, ge=0, le=100_000)
    request_queue: int = Field(default=256, ge=0, le=100_000)

    instance_path: Path = Path("instance")
    database_url: str = Field(default="", validate_default=True)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    posts_per_page: int = Field(default=25, ge=1, le=100)

    log_dir: Path = Path("logs")
    log_max_bytes: int = Field(default=10240, ge=0)
    log_backup_count: int = Field(default=10, ge=0)
    log_to_stdout: bool = False

    mail_server: str | None = None
    mail_port: int = Field(default=25, ge=1, le=65535)
    mail_use_tls: bool = False
    mail_use_ssl: bool = False
    mail_username: str | None = None
    mail_password: SecretStr | None = None
    mail_from: str | None = None
    mail_subject_prefix: str = ""
    admins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validation_alias=AliasChoices("admins", "mail_admins")
    )
    inbox_url: str = ""

    release: str = ""
    errors_every_occurrence: bool = False
    errors_fsync: bool = False
    sentry_dsn: SecretStr | None = None

    @field_validator("instance_path", "log_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

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

    @field_validator("secret_key")
    @classmethod
    def _strong(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("environment") != "production":
            return value or _DEVELOPMENT_KEY
        if not value:
            raise ValueError(f"is required in production; make one with: {SECRET_KEY_COMMAND}")
        if len(value) < 32 or len(set(value)) < 10 or value in _PUBLISHED_KEYS:
            raise ValueError(
                "is weak: expected at least 32 characters, 10 of them different, and nothing "
                f"that stands in a document; make one with: {SECRET_KEY_COMMAND}"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            instance_path = info.data.get("instance_path", Path("instance"))
            value = f"sqlite:///{instance_path / 'quartapp.db'}"
        return async_url(value).render_as_string(hide_password=False)

    @field_validator("sentry_dsn")
    @classmethod
    def _dsn(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value() if value else "")
        if value and not (parts.scheme in ("http", "https") and parts.username and parts.path):
            raise ValueError("expected a DSN as Sentry shows it: https://key@host/project")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mail_server and not self.admins:
            raise ValueError(
                "ADMINS: is required with MAIL_SERVER; expected mail addresses with commas between"
            )
        if self.mail_use_tls and self.mail_use_ssl:
            raise ValueError(
                "MAIL_USE_SSL: expected at most one of MAIL_USE_TLS (STARTTLS) and MAIL_USE_SSL"
            )
        if self.cookie_secure is None:
            # The model is frozen for everybody else; this is the last step of its construction.
            object.__setattr__(self, "cookie_secure", self._default_cookie_secure())
        return self

    def _default_cookie_secure(self) -> bool:
        return self.environment == "production"

    def to_config(self) -> dict[str, Any]:
        """The settings as plain values under their upper-case names, for `app.config`."""
        return {
            name.upper(): _plain(getattr(self, name)) for name in sorted(type(self).model_fields)
        }


class LocalSettings(Settings):
    """Settings for `make run`: production on one's own machine, without any preparation.

    A missing SECRET_KEY is made once and kept in INSTANCE_PATH, readable by its owner only, and
    cookies travel over http as long as HOST is a loopback address.
    """

    @model_validator(mode="before")
    @classmethod
    def _own_key(cls, data: dict[str, Any]) -> dict[str, Any]:
        if not data.get("secret_key"):
            instance_path = Path(data.get("instance_path") or "instance").expanduser().absolute()
            data = {**data, "secret_key": kept_secret_key(instance_path)}
        return data

    def _default_cookie_secure(self) -> bool:
        return super()._default_cookie_secure() and not is_loopback(self.host)


class ToolSettings(Settings):
    """Settings for commands, which sign nothing: without a SECRET_KEY they make do with chance."""

    @model_validator(mode="before")
    @classmethod
    def _any_key(cls, data: dict[str, Any]) -> dict[str, Any]:
        return data if data.get("secret_key") else {**data, "secret_key": secrets.token_hex()}


class _DebugSwitches(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    flask_debug: str = ""
    quart_debug: str = ""


def debug_switches() -> list[str]:
    """Those of FLASK_DEBUG and QUART_DEBUG that are on, by the rule of Flask and Quart."""
    switches = _DebugSwitches().model_dump()
    off = {"", "0", "false", "no"}
    return [name.upper() for name, value in switches.items() if value.lower() not in off]


def kept_secret_key(instance_path: Path) -> str:
    """The secret key that is kept in this folder; made at the first call (mode 0600)."""
    path = instance_path / "secret_key"
    instance_path.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        key = secrets.token_hex()
        file.write(key + "\n")
    return key


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name other than localhost never is."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def load_settings(kind: type[Settings] = Settings, **values: Any) -> Settings:
    """The settings of this process; `values` win over the environment.

    Raises ConfigurationError, whose text has a line for each fault. Values are not repeated in
    it: a password may stand in a wrong variable.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        lines = [_explain(fault) for fault in error.errors(include_url=False, include_input=False)]
        raise ConfigurationError("\n".join(lines)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f".env: expected UTF-8, found a byte that is none at position {error.start}"
        ) from None


def _explain(fault: Mapping[str, Any]) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0]).upper() if fault["loc"] else ""
    # "Input should be a valid integer, unable to parse ..." -> "expected a valid integer, ..."
    text = text.replace("Input should be", "expected", 1)
    return f"{name}: {text}" if name else text


def async_url(value: str) -> URL:
    """A database address with its async driver. Raises ValueError for what is none."""
    try:
        url = make_url(value)
    except ArgumentError:
        raise ValueError(
            "expected an address like sqlite:///quartapp.db or postgresql://user@host/name"
        ) from None
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if url.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        query = dict(url.query)
        if "sslmode" in query:  # the name that hosting providers use; asyncpg calls it ssl
            query["ssl"] = query.pop("sslmode")
        return url.set(drivername="postgresql+asyncpg", query=query)
    raise ValueError("expected a SQLite or PostgreSQL address (sqlite:///, postgresql://)")


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return value
