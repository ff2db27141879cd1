"""The settings of throttling, and the notation of a limit."""

import re
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, field_validator

from quartapp.settings import PartSettings

_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "month": 30 * 86_400,
    "year": 360 * 86_400,
}
_NOTATION = re.compile(
    rf"\s*([0-9]+)\s*(?:/|per)\s*([0-9]*)\s*({'|'.join(_SECONDS)})s?\s*", re.IGNORECASE
)


class Limit(NamedTuple):
    """So many times within so many seconds. `name` distinguishes the counters of limits."""

    name: str
    amount: int
    seconds: int

    def key_for(self, *key: str) -> str:
        """The name of a counter of this limit."""
        return "/".join((self.name, *key, f"{self.amount} in {self.seconds}"))


def limit_of(text: str, name: str = "") -> Limit:
    """The limit that a text such as "10 per 15 minutes" or "5/second" says. Raises ValueError.

    Limits with different names have different counters.
    """
    found = _NOTATION.fullmatch(text)
    if found is None:
        raise ValueError("expected a limit such as '10 per 15 minutes'")
    amount, number, unit = found.groups()
    limit = Limit(name, int(amount), int(number or 1) * _SECONDS[unit.lower()])
    if not limit.amount or not limit.seconds:
        raise ValueError("expected a limit of at least 1 (THROTTLING=false switches all off)")
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
