"""The response when the application cannot make one: its contexts have ended, or it is too late."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from quart import Quart
from werkzeug.exceptions import HTTPException

from quartapp.flasklike.wrappers.response import Response, convert_response

_EXCEPTION = "flasklike.exception"


class LastResort(Protocol):
    """Makes such a response; `App.last_resort`. It has no context and cannot await."""

    def __call__(self, scope: Any, error: HTTPException) -> Response:
        """The response to the request of *scope*."""


class Answering(Quart):
    """An application with a response of last resort; without one it is Werkzeug's page."""

    last_resort: LastResort | None = None


def last_resort(app: Any, scope: Any, error: HTTPException) -> Any:
    """The application's response of last resort.

    If making it fails, the error is logged and the response is Werkzeug's page.
    """
    if app.last_resort is not None:
        try:
            return app.last_resort(scope, error)
        except Exception:
            app.logger.exception("The response of last resort failed")
    return convert_response(error, Response)


@contextmanager
def answering_for(error: BaseException, scope: Any) -> Iterator[None]:
    """Tell middleware which exception the response sent in this block answers."""
    scope[_EXCEPTION] = error
    try:
        yield
    finally:
        del scope[_EXCEPTION]  # the traceback refers to frames that refer to the scope


def exception_answered(scope: Any) -> BaseException | None:
    """The unhandled exception for which a response is being sent, or None."""
    error: BaseException | None = scope.get(_EXCEPTION)
    return error
