"""The responses to the errors of the domain: the only place where they become HTTP."""

from quart import Quart, Response, current_app, flash, jsonify, request
from werkzeug.exceptions import InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.errors.handlers import RETRY_AFTER, handle_internal
from quartapp.errors.responses import describe, respond, wants_json
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
from quartapp.reporting import expect

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

# How to authenticate, which a 401 must say (RFC 9110, 11.6.1; RFC 6750, 3; RFC 7617, 2.1). That of
# InsufficientScopeError names the scope.
_CHALLENGES: dict[type[QuartappError], str] = {
    TokenRequiredError: 'Bearer realm="quartapp"',
    InvalidTokenError: 'Bearer realm="quartapp", error="invalid_token"',
    InvalidCredentialsError: 'Basic realm="quartapp", charset="UTF-8"',
}


def init_app(app: Quart) -> None:
    """Register the handlers for errors of the domain."""
    app.register_error_handler(QuartappError, handle_domain)
    app.register_error_handler(LoginRequiredError, handle_login_required)
    app.register_error_handler(ServerBusyError, handle_busy)
    app.register_error_handler(InvalidAPIUsage, handle_api_usage)


async def handle_domain(error: QuartappError) -> Response:
    """Answer an error of the domain that no view has handled.

    A class without a status is logged and answered as a 500.
    """
    status = status_of(type(error))
    if status is not None:
        headers, extensions = _challenge(error), _faults(error)
        return await respond(
            describe(status, error.message, code=error.code, headers=headers, extensions=extensions)
        )
    current_app.logger.error("Exception that no rule maps to a status", exc_info=error)
    return await handle_internal(InternalServerError(original_exception=error))


async def handle_busy(error: ServerBusyError) -> Response:
    """Answer 503. It is counted and not recorded, as the refusals of admission are."""
    expect(error.code)
    return await respond(
        describe(503, error.message, code=error.code, headers=(("Retry-After", RETRY_AFTER),))
    )


def status_of(kind: type[QuartappError]) -> int | None:
    """The status for a class of errors, or for its nearest base class; None means 500."""
    return next((_STATUS[base] for base in kind.__mro__ if base in _STATUS), None)


def _challenge(error: QuartappError) -> tuple[tuple[str, str], ...]:
    challenge = _CHALLENGES.get(type(error))
    if isinstance(error, InsufficientScopeError):
        challenge = f'Bearer realm="quartapp", error="insufficient_scope", scope="{error.scope}"'
    return (("WWW-Authenticate", challenge),) if challenge else ()


def _faults(error: QuartappError) -> tuple[tuple[str, object], ...]:
    if isinstance(error, InvalidInputError):
        return (("errors", [fault._asdict() for fault in error.faults]),)
    if isinstance(error, ConflictError):
        return (("errors", [{"field": error.field, "message": error.message}]),)
    return ()


async def handle_api_usage(error: InvalidAPIUsage) -> tuple[Response, int]:
    """Answer as in Flask's documentation ("Returning API Errors as JSON")."""
    return jsonify(error.to_dict()), error.status_code


async def handle_login_required(error: LoginRequiredError) -> Response | WerkzeugResponse:
    """Answer programs with a 401; redirect people to the login page, which leads back here."""
    if wants_json():
        return await handle_domain(error)
    await flash(error.message)
    return redirect(url_for("auth.login", next=_way_back()))


def _way_back() -> str | None:
    """The requested address, unless it only accepts a button's POST, or is too long."""
    if request.url_rule is None or "GET" not in (request.url_rule.methods or ()):
        return None
    query = request.query_string.decode("ascii", "replace")
    address = request.root_path + request.path + (f"?{query}" if query else "")
    return address if fits_into_next(address) else None
