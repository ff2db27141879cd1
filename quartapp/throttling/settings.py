"""The settings of throttling, and the notation of a limit."""

from typing import Annotated
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from pydantic import AfterValidator, field_validator

from quartapp.settings import PartSettings


def limit_of(text: str, name: str = "") -> RateLimitItem:
    """The limit that a text such as "10 per 15 minutes" or "5/second" says. Raises ValueError.

    Limits with different names have different counters.
    """
    try:
        limit = parse(text)
    except ValueError:
        raise ValueError("expected a limit such as '10 per 15 minutes'") from None
    if limit.amount < 1:
        raise ValueError("expected a limit of at least 1 (THROTTLING=false switches all off)")
    limit.namespace = name
    return limit


def _checked(text: str) -> str:
    limit_of(text)
    return text


LimitText = Annotated[str, AfterValidator(_checked)]
"""The type of a setting that is a limit, for applications."""


class ThrottlingSettings(PartSettings):
    """Whether limits are in force, and where the counters are."""

    throttling: bool = True
    """Whether requests are limited at all."""
    redis_url: str = ""
    """`redis://host:6379/0`, or `rediss://` with TLS; without it each process counts for itself."""

    @property
    def redis_secrets(self) -> list[str]:
        """What must be in no report and no log: the password of Redis."""
        password = urlsplit(self.redis_url).password
        return [password] if password else []

    @field_validator("redis_url")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"redis", "rediss"}):
            raise ValueError("expected an address such as redis://localhost:6379/0")
        return value
