"""The settings of the error pages, of the admission of requests and of their time limits."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from quartapp.settings import PartSettings


def _reachable(value: str) -> str:
    is_mail = "@" in value.strip("@") and not any(c.isspace() for c in value)
    if value and not is_mail and not value.startswith(("https://", "http://")):
        raise ValueError("expected a mail address, or the address of a page (https://...)")
    return value


Contact = Annotated[str, AfterValidator(_reachable)]
"""Whom people may ask: a mail address, or the address of a page; empty if there is nobody."""


def _paths(value: Any) -> Any:
    return tuple(filter(None, map(str.strip, value.split(",")))) if type(value) is str else value


def _begin_with_a_slash(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(path.startswith("/") for path in value):
        raise ValueError("expected paths that begin with /, separated by commas")
    return tuple(path.rstrip("/") for path in value)


class ErrorPagesSettings(PartSettings):
    """What an application says about its error pages. See `quartapp.errors.ErrorPages`."""

    errors_contact: Contact = ""
    """Whom people may ask about a 5xx: a mail address, or the address of a page."""
    errors_api_paths: Annotated[
        tuple[str, ...], BeforeValidator(_paths), AfterValidator(_begin_with_a_slash)
    ] = ("/api",)
    """The paths of which, and below which, each error is answered with problem+json."""


class AdmissionSettings(PartSettings):
    """Which requests a worker accepts, and how long they may take.

    See `quartapp.errors.admission` and `quartapp.errors.deadlines`.
    """

    request_limit: int = Field(default=4096, ge=0, le=100_000)
    """Requests that may be open at a time, because of their memory; 0 accepts all requests."""
    request_queue: int = Field(default=1024, ge=0, le=100_000)
    """Further requests that may wait."""
    request_queue_timeout: float = Field(default=1.0, ge=0, le=60)
    """Seconds for which they wait."""
    request_max_lag: float = Field(default=0.05, ge=0.005, le=10)
    """Seconds by which the event loop may be late before fewer requests are admitted."""
    request_timeout: float = Field(default=30.0, ge=0, le=86_400)
    """Seconds until a request has to be answered; 0 means no limit."""
