"""The errors of the domain. They know no HTTP: only `quartapp.errors` maps them to responses.

QuartappError
├── ConfigurationError      a setting is missing or wrong; nothing was started
├── NotFoundError           there is no such user, post or page
├── ConflictError           a value that must be unique is taken
│   ├── UsernameTakenError
│   └── EmailTakenError
├── LoginRequiredError      only people who are logged in may do this
├── ForbiddenError          the person may not do this
├── InvalidTokenError       an API token is unknown, expired or revoked
└── InvalidAPIUsage         a request to the API that cannot be served, with its own status

Every class has a stable `code` for programs and a `message` that is safe to show to anybody.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from click import ClickException


class QuartappError(Exception):
    """The common ancestor; `code` is stable, `message` may be shown to anybody."""

    code: ClassVar[str] = "error"
    message: str = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        if message is not None:
            self.message = message
        super().__init__(self.message)


class ConfigurationError(QuartappError, ClickException):  # type: ignore[misc]  # both name a message
    """A setting is missing or wrong; the message names the variable and what was expected.

    A ClickException, so that `quart` prints that message instead of a traceback.
    """

    code = "configuration"
    exit_code = 2


class NotFoundError(QuartappError, LookupError):
    """There is no such thing."""

    code = "not-found"
    message = "There is no such thing here."


class ConflictError(QuartappError, ValueError):
    """A value that must be unique is taken; `field` names it."""

    code = "conflict"
    field: ClassVar[str] = ""


class UsernameTakenError(ConflictError):
    """Somebody else has this username."""

    code = "username-taken"
    field = "username"
    message = "Please use a different username."


class EmailTakenError(ConflictError):
    """Somebody else has this email address."""

    code = "email-taken"
    field = "email"
    message = "Please use a different email address."


class LoginRequiredError(QuartappError, PermissionError):
    """Nobody is logged in, and somebody must be."""

    code = "login-required"
    message = "Please log in to access this page."


class ForbiddenError(QuartappError, PermissionError):
    """The person is known and may not do this."""

    code = "forbidden"
    message = "You are not allowed to do this."


class InvalidTokenError(QuartappError):
    """The API token is unknown, expired or revoked."""

    code = "invalid-token"
    message = "The token is unknown, expired or revoked."


class InvalidAPIUsage(QuartappError):
    """A request that the API cannot serve (Flask, "Handling Application Errors", "Returning API
    Errors as JSON"). `to_dict()` is the body: the payload with the message merged in.
    """

    code = "invalid-api-usage"
    status_code: int = 400

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        if status_code is not None:
            self.status_code = status_code
        self.payload = payload

    def to_dict(self) -> dict[str, Any]:
        return {**(self.payload or {}), "message": self.message}
