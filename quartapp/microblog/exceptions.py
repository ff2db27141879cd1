"""The errors of the domain. They know no HTTP: only `domain_errors` maps them to responses.

QuartappError
├── NotFoundError           there is no such user, post or page
├── ConflictError           a value that must be unique is taken
│   ├── UsernameTakenError
│   └── EmailTakenError
├── LoginRequiredError      only people who are logged in may do this
├── ForbiddenError          the person may not do this
│   └── EmailUnconfirmedError
├── TokenRequiredError      the API asks for a token, and none was sent
├── InvalidTokenError       an API token is unknown, expired or revoked
├── InsufficientScopeError  an API token was issued for less than this
├── InvalidCredentialsError no username and password, or wrong ones
├── InvalidInputError       values that are not accepted, with a reason for each
├── SelfFollowError         users cannot follow themselves
├── ServerBusyError         too many people log in at this moment
└── InvalidAPIUsage         a request to the API that cannot be served, with its own status

Every class has a stable `code` for programs and a `message` that is safe to show to anybody.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class QuartappError(Exception):
    """The base class; `code` is stable, `message` may be shown to anybody."""

    code: ClassVar[str] = "error"
    message: str = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        if message is not None:
            self.message = message
        super().__init__(self.message)


class NotFoundError(QuartappError, LookupError):
    """The object does not exist."""

    code = "not-found"
    message = "It does not exist."


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
    """The page needs a login."""

    code = "login-required"
    message = "Please log in to access this page."


class ForbiddenError(QuartappError, PermissionError):
    """The person is logged in, but may not do this."""

    code = "forbidden"
    message = "You are not allowed to do this."


class EmailUnconfirmedError(ForbiddenError):
    """The person has not confirmed their email address, and this site asks for it first."""

    code = "email-unconfirmed"
    message = "Please confirm your email address first: follow the link in the mail that you got."


class TokenRequiredError(QuartappError, PermissionError):
    """The API was called without a token."""

    code = "token-required"
    message = "Send a token as 'Authorization: Bearer TOKEN'; POST /api/tokens gives you one."


class InvalidTokenError(QuartappError):
    """The API token is unknown, expired or revoked."""

    code = "invalid-token"
    message = "The token is unknown, expired or revoked."


class InsufficientScopeError(QuartappError, PermissionError):
    """The API token was issued for less than this; `scope` is what it needs."""

    code = "insufficient-scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs a token with the scope {scope!r}.")
        self.scope = scope


class InvalidCredentialsError(QuartappError, PermissionError):
    """No username and password, or wrong ones; the error does not say which of them is wrong."""

    code = "invalid-credentials"
    message = (
        "Send your username and password with HTTP's Basic scheme; these are wrong or missing."
    )


class Fault(NamedTuple):
    """Why one value is not accepted; `field` is empty if the whole body is meant."""

    field: str
    message: str


class InvalidInputError(QuartappError, ValueError):
    """Values that were understood but are not accepted; `faults` has the reason for each."""

    code = "invalid-input"
    message = "Some of the values are not accepted."

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class SelfFollowError(QuartappError, ValueError):
    """A user tried to follow themselves."""

    code = "self-follow"
    message = "You cannot follow yourself."


class ServerBusyError(QuartappError):
    """The server has more of this to do than it can do soon."""

    code = "server-busy"
    message = "Too many people are logging in at this moment. Please try again in a few seconds."


class InvalidAPIUsage(QuartappError):
    """A request that the API cannot serve (Flask, "Handling Application Errors", "Returning API
    Errors as JSON").
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
        """The body of the response: the payload, with the message under `message`."""
        return {**(self.payload or {}), "message": self.message}
