"""Who handles what. Flask's rules decide between these: the most specific class wins."""

import logging

from quart import (
    Quart,
    Response,
    current_app,
    flash,
    has_request_context,
    has_websocket_context,
    jsonify,
    request,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database import rollback_request_session
from quartapp.errors.responses import describe, respond, wants_json
from quartapp.flasklike import redirect, url_for
from quartapp.microblog.exceptions import (
    ConflictError,
    ForbiddenError,
    InvalidAPIUsage,
    InvalidCredentialsError,
    InvalidInputError,
    InvalidTokenError,
    LoginRequiredError,
    NotFoundError,
    QuartappError,
    SelfFollowError,
    TokenRequiredError,
)
from quartapp.reporting.hooks.reference import error_reference

_STATUS: dict[type[QuartappError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ForbiddenError: 403,
    LoginRequiredError: 401,
    TokenRequiredError: 401,
    InvalidTokenError: 401,
    InvalidCredentialsError: 401,
    InvalidInputError: 422,
    SelfFollowError: 409,
}

# What a 401 must say of the ways to authenticate (RFC 9110, 11.6.1; RFC 6750, 3; RFC 7617, 2.1).
_CHALLENGES: dict[type[QuartappError], str] = {
    TokenRequiredError: 'Bearer realm="quartapp"',
    InvalidTokenError: 'Bearer realm="quartapp", error="invalid_token"',
    InvalidCredentialsError: 'Basic realm="quartapp", charset="UTF-8"',
}

RETRY_AFTER = "5"
"""Seconds after which a client may come back to a server that has no connection free."""


def init_app(app: Quart) -> None:
    app.register_error_handler(HTTPException, handle_http)
    app.register_error_handler(InternalServerError, handle_internal)
    app.register_error_handler(QuartappError, handle_domain)
    app.register_error_handler(LoginRequiredError, handle_login_required)
    app.register_error_handler(InvalidAPIUsage, handle_api_usage)
    app.register_error_handler(PoolTimeoutError, handle_pool_timeout)
    # Not app.logger: at its first use Quart attaches a handler, and every line comes twice.
    logging.getLogger(app.name).addFilter(note_reference)


def note_reference(record: logging.LogRecord) -> bool:
    """Let an error in the log carry the reference that the client is shown (a logging filter)."""
    in_request = has_request_context() or has_websocket_context()
    if record.levelno >= logging.ERROR and in_request and isinstance(record.args, tuple):
        # Without arguments a message is taken as it is, percent signs included.
        text = str(record.msg) if record.args else str(record.msg).replace("%", "%%")
        record.msg = f"{text} [reference %s]"
        record.args = (*record.args, error_reference())
    return True


async def handle_http(error: HTTPException) -> Response | WerkzeugResponse:
    """abort(404), a wrong method, a body that is too large ..."""
    if error.response is not None:  # abort(response): the response is the answer
        return error.response  # type: ignore[return-value]  # werkzeug calls it a sansio Response
    status = error.code or 500
    # werkzeug's own descriptions speak to developers; one that somebody passed speaks to people.
    own = error.description if error.description != type(error).description else None
    return await respond(describe(status, own, headers=tuple(error.get_headers())))


async def handle_internal(error: InternalServerError) -> Response:
    """An unhandled exception, already recorded, or abort(500).

    The session is rolled back before the page is rendered. Should that fail too (the database is
    gone), it is one more record, and the page is shown all the same.
    """
    try:
        await rollback_request_session()
    except Exception:  # noqa: BLE001 whatever fails here, the page comes all the same
        current_app.logger.exception("The rollback after an error failed")
    return await respond(describe(500))


async def handle_domain(error: QuartappError) -> Response:
    """An error of the domain that no view turned into something better."""
    status = status_of(type(error))
    if status is not None:
        headers, extensions = _challenge(error), _faults(error)
        return await respond(
            describe(status, error.message, code=error.code, headers=headers, extensions=extensions)
        )
    current_app.logger.error("Exception that no rule maps to a status", exc_info=error)
    return await handle_internal(InternalServerError(original_exception=error))


def status_of(kind: type[QuartappError]) -> int | None:
    """The status of a domain error, by its class or the nearest one above; None is a 500."""
    return next((_STATUS[base] for base in kind.__mro__ if base in _STATUS), None)


def _challenge(error: QuartappError) -> tuple[tuple[str, str], ...]:
    challenge = _CHALLENGES.get(type(error))
    return (("WWW-Authenticate", challenge),) if challenge else ()


def _faults(error: QuartappError) -> tuple[tuple[str, object], ...]:
    if isinstance(error, InvalidInputError):
        return (("errors", [fault._asdict() for fault in error.faults]),)
    if isinstance(error, ConflictError):
        return (("errors", [{"field": error.field, "message": error.message}]),)
    return ()


async def handle_api_usage(error: InvalidAPIUsage) -> tuple[Response, int]:
    """Answer as Flask's documentation does ("Returning API Errors as JSON")."""
    return jsonify(error.to_dict()), error.status_code


async def handle_login_required(error: LoginRequiredError) -> Response | WerkzeugResponse:
    """A program is told; a person is led to the login page, and back afterwards."""
    if wants_json():
        return await handle_domain(error)
    await flash(error.message)
    return redirect(url_for("auth.login", next=_way_back()))


def _way_back() -> str | None:
    """The address that was asked for, unless only a button's POST leads there."""
    if request.url_rule is None or "GET" not in (request.url_rule.methods or ()):
        return None
    query = request.query_string.decode("ascii", "replace")
    return request.root_path + request.path + (f"?{query}" if query else "")


async def handle_pool_timeout(error: PoolTimeoutError) -> Response:
    """Every connection was busy for longer than a request may wait."""
    current_app.logger.error("No database connection became free in time", exc_info=error)
    return await respond(describe(503, headers=(("Retry-After", RETRY_AFTER),)))
