"""The error handlers. By Flask's rules the one for the most specific class is called."""

import logging
import sys
from inspect import isawaitable

from quart import Quart, Response, current_app, has_app_context
from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.errors.responses import respond
from quartapp.errors.site import Site, current_site
from quartapp.errors.texts import NOTIFIED, RECORDED

RETRY_AFTER = "5"
"""Seconds after which a client may try again when the server is busy."""


def register(app: Quart, kind: type[Exception], handler: object) -> None:
    """Register a handler, unless the application has one for the same class.

    Raises RuntimeError if the application has begun to serve.
    """
    code = getattr(kind, "code", None) if issubclass(kind, HTTPException) else None
    if app.error_handler_spec[None][code].get(kind) is None:
        try:
            app.register_error_handler(kind, handler)  # type: ignore[arg-type]  # any handler
        except AssertionError as error:
            raise RuntimeError(
                f"ErrorPages: the application {app.name!r} has begun to serve; call init_app() and"
                " register() before its first request"
            ) from error


def note_reference(record: logging.LogRecord) -> bool:
    """Add the reference that the client sees to an error in the log (a logging filter)."""
    reporting = sys.modules.get("quartapp.reporting")
    if reporting is None or record.levelno < logging.ERROR or not reporting.in_request():
        return True
    if has_app_context() and "reporting" not in current_app.extensions:
        return True
    if isinstance(record.args, tuple):
        # A message without arguments is not formatted, so its percent signs have to be escaped.
        text = str(record.msg) if record.args else str(record.msg).replace("%", "%%")
        record.msg = f"{text}{reporting.REFERENCE_SUFFIX}"
        record.args = (*record.args, reporting.error_reference())
    return True


async def handle_http(error: HTTPException) -> Response | WerkzeugResponse:
    """Answer an HTTP error: abort(404), a wrong method, a body that is too large ..."""
    if error.response is not None:  # abort(response)
        return error.response  # type: ignore[return-value]  # werkzeug calls it a sansio Response
    status = error.code or 500
    headers = tuple(error.get_headers())
    return await respond(current_site().describe(status, _own_text(error), headers=headers))


async def handle_internal(error: InternalServerError) -> Response:
    """Answer an unhandled exception, which is already recorded, or abort(500).

    The session is rolled back before the page is rendered. If that fails too (the database is
    unreachable), the failure is logged, and so recorded, and the page is shown all the same.
    """
    site = current_site()
    await roll_back(site)
    reporting = site.reporting
    notified = reporting is not None and reporting.notifies_operator()
    return await respond(site.describe_failure(500, NOTIFIED if notified else RECORDED))


async def handle_registered(error: Exception) -> Response:
    """Answer an error as registered for its class (`ErrorPages.register`).

    A 5xx is logged, and so recorded, unless it is expected. One whose class is not registered is
    answered as an unhandled exception.
    """
    site = current_site()
    answer = site.answer_of(type(error))
    if answer is None:
        current_app.logger.error("Exception for which no answer is registered", exc_info=error)
        return await handle_internal(InternalServerError(original_exception=error))
    described = answer.describe(site, error)
    if answer.expected:
        site.expect(described.code)
    elif answer.status >= 500:
        current_app.logger.error(
            "Exception that is answered with %d", answer.status, exc_info=error
        )
    if answer.status >= 500 or _breaks_session(error):
        await roll_back(site)
    return await respond(described)


async def error_response(error: Exception) -> Response | WerkzeugResponse:
    """The answer to an error: for handlers of an application that do something else besides."""
    if isinstance(error, InternalServerError):
        return await handle_internal(error)
    if isinstance(error, HTTPException):
        return await handle_http(error)
    return await handle_registered(error)


async def roll_back(site: Site) -> None:
    """Roll back what the request did not commit. A failure is logged, and nothing is raised."""
    try:
        if "database" in current_app.extensions:
            from quartapp.database.request import rollback_request_session  # it is loaded

            await rollback_request_session()
    except Exception:  # noqa: BLE001 whatever fails here, the page is shown all the same
        current_app.logger.exception("The rollback after an error failed")
    try:
        if site.rollback is not None:
            ended = await current_app.ensure_async(site.rollback)()
            if isawaitable(ended):  # of a lambda
                await ended
    except Exception:  # noqa: BLE001 as above
        current_app.logger.exception("The rollback after an error failed")


def _own_text(error: HTTPException) -> str | None:
    """The description that was passed, which is for people; werkzeug's own are for developers."""
    if isinstance(error, BadRequestKeyError) and not error.show_exception:
        return None  # a property, which differs from that of the class
    return error.description if error.description != type(error).description else None


def _breaks_session(error: Exception) -> bool:
    """Whether a session of SQLAlchemy may be unusable until it is rolled back."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, sqlalchemy.SQLAlchemyError)
