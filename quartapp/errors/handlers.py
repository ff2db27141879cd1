"""The error handlers. By Flask's rules the one for the most specific class is called."""

import logging
from functools import partial

from quart import (
    Quart,
    Response,
    current_app,
    request,
)
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database import rollback_request_session
from quartapp.database.errors import DatabaseQueueFullError
from quartapp.database.request import SAFE_METHODS
from quartapp.errors.plain import PlainPage
from quartapp.errors.refusal import last_resort
from quartapp.errors.responses import describe, respond
from quartapp.reporting import (
    REFERENCE_SUFFIX,
    error_reference,
    expect,
    in_request,
    notifies_operator,
)

RETRY_AFTER = "5"
"""Seconds after which a client may try again when the server is busy."""


NOTIFIED = "The administrator has been notified. Sorry for the inconvenience!"


def init_app(app: Quart, plain: PlainPage | None = None) -> None:
    """Answer HTTP errors, unhandled exceptions and a busy database, and add references to the log.

    An application registers handlers for its own errors in addition.

    `plain` is the page for when no template can be rendered.
    """
    plain = app.extensions["errors"] = plain or PlainPage()
    app.last_resort = partial(last_resort, plain)  # type: ignore[attr-defined]  # flasklike's
    app.register_error_handler(HTTPException, handle_http)
    app.register_error_handler(InternalServerError, handle_internal)
    app.register_error_handler(DatabaseTimeoutError, handle_database_timeout)
    app.register_error_handler(DatabaseQueueFullError, handle_database_queue)
    # Not app.logger: at its first use Quart adds a handler, and every line would appear twice.
    logging.getLogger(app.name).addFilter(note_reference)


def note_reference(record: logging.LogRecord) -> bool:
    """Add the reference that the client sees to an error in the log (a logging filter)."""
    if record.levelno >= logging.ERROR and in_request() and isinstance(record.args, tuple):
        # A message without arguments is not formatted, so its percent signs have to be escaped.
        text = str(record.msg) if record.args else str(record.msg).replace("%", "%%")
        record.msg = f"{text}{REFERENCE_SUFFIX}"
        record.args = (*record.args, error_reference())
    return True


async def handle_http(error: HTTPException) -> Response | WerkzeugResponse:
    """Answer an HTTP error: abort(404), a wrong method, a body that is too large ..."""
    if error.response is not None:  # abort(response)
        return error.response  # type: ignore[return-value]  # werkzeug calls it a sansio Response
    status = error.code or 500
    # werkzeug's descriptions are for developers; a description that was passed is for people.
    own = error.description if error.description != type(error).description else None
    return await respond(describe(status, own, headers=tuple(error.get_headers())))


async def handle_internal(error: InternalServerError) -> Response:
    """Answer an unhandled exception, which is already recorded, or abort(500).

    The session is rolled back before the page is rendered. If that fails too (the database is
    unreachable), the failure is logged, and so recorded, and the page is shown all the same.
    """
    await _roll_back()
    return await respond(describe(500, NOTIFIED if notifies_operator() else None))


async def handle_database_timeout(error: DatabaseTimeoutError) -> Response:
    """Answer 503 when no connection became free, or a statement was not answered, in time."""
    current_app.logger.error("The database did not answer in time", exc_info=error)
    await _roll_back()
    return await respond(describe(503, headers=(("Retry-After", RETRY_AFTER),)))


async def handle_database_queue(_error: DatabaseQueueFullError) -> Response:
    """Answer 503 when too many requests of a route wait for the database.

    It is counted and not recorded, and costs little, as the refusals of admission.
    """
    expect("database")
    busy = describe(503, headers=(("Retry-After", RETRY_AFTER),))
    return await respond(busy, plain=request.method in SAFE_METHODS)


async def _roll_back() -> None:
    try:
        await rollback_request_session()
    except Exception:  # noqa: BLE001 whatever fails here, the page is shown all the same
        current_app.logger.exception("The rollback after an error failed")
