"""Who handles what. Flask's rules decide between these: the most specific class wins."""

import logging

from quart import Quart, Response, current_app, flash, has_request_context, request
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database import rollback_request_session
from quartapp.errors.responses import describe, respond, wants_json
from quartapp.exceptions import (
    ConflictError,
    ForbiddenError,
    InvalidTokenError,
    LoginRequiredError,
    NotFoundError,
    QuartappError,
)
from quartapp.flasklike import redirect, url_for
from quartapp.reporting.reference import error_reference

_STATUS: dict[type[QuartappError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ForbiddenError: 403,
    LoginRequiredError: 401,
    InvalidTokenError: 401,
}

RETRY_AFTER = "5"
"""Seconds after which a client may come back to a server that has no connection free."""


def init_app(app: Quart) -> None:
    app.register_error_handler(HTTPException, handle_http)
    app.register_error_handler(InternalServerError, handle_internal)
    app.register_error_handler(QuartappError, handle_domain)
    app.register_error_handler(LoginRequiredError, handle_login_required)
    app.register_error_handler(PoolTimeoutError, handle_pool_timeout)
    app.logger.addFilter(note_reference)


def note_reference(record: logging.LogRecord) -> bool:
    """Let an error in the log carry the reference that the client is shown (a logging filter)."""
    if record.levelno >= logging.ERROR and has_request_context() and isinstance(record.args, tuple):
        record.msg = f"{record.msg} [reference %s]"
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
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return await respond(describe(_STATUS[kind], error.message, code=error.code))
    current_app.logger.error("Exception that no rule maps to a status", exc_info=error)
    return await handle_internal(InternalServerError(original_exception=error))


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
