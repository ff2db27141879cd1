"""The answer where the application can give none: after its contexts have ended, or too late."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from quart import Quart
from werkzeug.exceptions import HTTPException

from quartapp.flasklike.wrappers.response import Response, convert_response

_EXCEPTION = "flasklike.exception"


class LastResort(Protocol):
    """Makes such an answer; `App.last_resort`. There is no context, and nothing may be awaited."""

    def __call__(self, scope: Any, error: HTTPException) -> Response:
        """The response to the request of *scope*."""


class Answering(Quart):
    """An application with an answer of last resort; without one it is Werkzeug's page."""

    last_resort: LastResort | None = None


def last_resort(app: Any, scope: Any, error: HTTPException) -> Any:
    """The application's answer of last resort. If that fails, it is logged, and Werkzeug's sent."""
    if app.last_resort is not None:
        try:
            return app.last_resort(scope, error)
        except Exception:
            app.logger.exception("The answer of last resort failed")
    return convert_response(error, Response)


@contextmanager
def answering_for(error: BaseException, scope: Any) -> Iterator[None]:
    """Let middleware know for which exception the response is that is sent meanwhile."""
    scope[_EXCEPTION] = error
    try:
        yield
    finally:
        del scope[_EXCEPTION]  # the traceback refers to frames that refer to the scope


def exception_answered(scope: Any) -> BaseException | None:
    """The exception for which a response is being sent, which nobody has handled."""
    error: BaseException | None = scope.get(_EXCEPTION)
    return error
