"""The responses to the errors of the domain: the only place where they become HTTP."""

from operator import attrgetter

from quart import Quart, Response, flash, jsonify, request
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.errors import RETRY_AFTER, ErrorPages, error_response, wants_json
from quartapp.flasklike import redirect, url_for
from quartapp.microblog.exceptions import (
    ConflictError,
    ForbiddenError,
    InsufficientScopeError,
    InvalidAPIUsage,
    InvalidCredentialsError,
    InvalidInputError,
    InvalidTokenError,
    LoginRequiredError,
    NotFoundError,
    QuartappError,
    SelfFollowError,
    ServerBusyError,
    TokenRequiredError,
)
from quartapp.microblog.identity import fits_into_next
from quartapp.reporting import exceptions as reporting

_STATUS: dict[type[QuartappError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ForbiddenError: 403,
    LoginRequiredError: 401,
    TokenRequiredError: 401,
    InvalidTokenError: 401,
    InsufficientScopeError: 403,
    InvalidCredentialsError: 401,
    InvalidInputError: 422,
    SelfFollowError: 409,
}
"""A class that is not here, and none of whose bases is, is answered as an unhandled exception."""

_OF_REPORTING: tuple[tuple[type[Exception], int, str], ...] = (
    (reporting.GroupNotFoundError, 404, NotFoundError.code),
    (reporting.ConflictError, 409, ConflictError.code),
    (reporting.DecisionError, 422, InvalidInputError.code),
)
"""What the API says about errors that were counted. The inbox has pages for these."""

# How to authenticate, which a 401 must say (RFC 9110, 11.6.1; RFC 6750, 3; RFC 7617, 2.1). That of
# InsufficientScopeError names the scope.
_CHALLENGES: dict[type[QuartappError], str] = {
    TokenRequiredError: 'Bearer realm="quartapp"',
    InvalidTokenError: 'Bearer realm="quartapp", error="invalid_token"',
    InvalidCredentialsError: 'Basic realm="quartapp", charset="UTF-8"',
}


def register(app: Quart, pages: ErrorPages) -> None:
    """Say how the errors of the domain are answered."""
    app.register_error_handler(LoginRequiredError, handle_login_required)
    app.register_error_handler(InvalidAPIUsage, handle_api_usage)
    for kind, status in _STATUS.items():
        pages.register(
            kind,
            status=status,
            code=attrgetter("code"),
            detail=attrgetter("message"),
            headers=_challenge,
            extensions=_faults,
        )
    for error, status, code in _OF_REPORTING:
        pages.register(error, status=status, code=code, detail=str)
    pages.register(
        ServerBusyError,
        status=503,
        code=ServerBusyError.code,
        detail=attrgetter("message"),
        headers={"Retry-After": RETRY_AFTER},
        expected=True,
    )


def _challenge(error: QuartappError) -> dict[str, str]:
    challenge = _CHALLENGES.get(type(error))
    if isinstance(error, InsufficientScopeError):
        challenge = f'Bearer realm="quartapp", error="insufficient_scope", scope="{error.scope}"'
    return {"WWW-Authenticate": challenge} if challenge else {}


def _faults(error: QuartappError) -> dict[str, object]:
    if isinstance(error, InvalidInputError):
        return {"errors": [fault._asdict() for fault in error.faults]}
    if isinstance(error, ConflictError):
        return {"errors": [{"field": error.field, "message": error.message}]}
    return {}


async def handle_api_usage(error: InvalidAPIUsage) -> tuple[Response, int]:
    """Answer as in Flask's documentation ("Returning API Errors as JSON")."""
    return jsonify(error.to_dict()), error.status_code


async def handle_login_required(error: LoginRequiredError) -> Response | WerkzeugResponse:
    """Answer programs with a 401; redirect people to the login page, which leads back here."""
    if wants_json():
        return await error_response(error)
    await flash(error.message)
    return redirect(url_for("auth.login", next=_way_back()))


def _way_back() -> str | None:
    """The requested address, unless it only accepts a button's POST, or is too long."""
    if request.url_rule is None or "GET" not in (request.url_rule.methods or ()):
        return None
    query = request.query_string.decode("ascii", "replace")
    address = request.root_path + request.path + (f"?{query}" if query else "")
    return address if fits_into_next(address) else None
