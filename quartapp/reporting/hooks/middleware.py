"""The outermost mechanism: 5xx responses, and exceptions that leave the application."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Quart

from quartapp import breadcrumbs
from quartapp.flasklike.asgi.last_resort import exception_answered
from quartapp.flasklike.concurrency.cancellation import as_error, as_failure, may_become_error
from quartapp.installation import RECORDING, Outer
from quartapp.redact.context import Context
from quartapp.reporting.hooks.request_context import context_of_asgi, context_of_request
from quartapp.reporting.hooks.request_state import RequestState, current_state
from quartapp.reporting.hooks.traffic import Traffic
from quartapp.reporting.recorder import Subject

_MECHANISM = "guard"  # the name that stored reports have
_RESPONSE_STARTS = {"http.response.start", "websocket.http.response.start"}
_EXPECTED_EVERY = 60.0
_SEEN = "quartapp.reporting"

Record = Callable[[Subject, Callable[[], Context]], object]

_logger = logging.getLogger(__name__)


class ErrorReportingMiddleware(Outer):
    """ASGI middleware that gives each request its state and records every unrecorded 5xx.

    Messages and exceptions pass through unchanged, after they were recorded. SystemExit, which
    would end the worker, becomes a StrayExitError. Cancellation is not an error, unless the
    application cancelled its own request. An error that an earlier mechanism of the request has
    recorded is not recorded again. Every response is counted.
    """

    def __init__(self, asgi_app: Any, app: Quart, record: Record, traffic: Traffic) -> None:
        super().__init__(asgi_app, RECORDING)
        self._app = app
        self._record = record
        self._traffic = traffic
        self._expected: Counter[str] = Counter()
        self._expected_logged_at = 0.0

    async def __call__(
        self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request or websocket; `lifespan` passes through."""
        if scope["type"] not in {"http", "websocket"} or _SEEN in scope:
            await self.asgi_app(scope, receive, send)
            return
        scope[_SEEN] = self  # by the outermost one, if others were wrapped around an earlier one
        state = RequestState()
        watched: RequestState | None = state

        answered = False
        traffic = self._traffic

        async def watch(message: Any) -> None:
            nonlocal answered
            if message["type"] in _RESPONSE_STARTS:
                answered = True
                traffic.responses += 1
                if message["status"] >= 500:
                    traffic.failures += 1
                    if watched is not None and not watched.recorded:
                        self.record_response(scope, watched, message["status"])
            await send(message)

        token = current_state.set(state)
        ring = breadcrumbs.begin()
        try:
            await self.asgi_app(scope, receive, watch)
        except Exception as error:
            self._escaped_error(scope, state, error, answered)
            raise
        except asyncio.CancelledError as cancelled:
            if _is_cancelled_by_itself(self._app):
                self._escaped_error(scope, state, as_error(cancelled), answered)
            raise
        except BaseException as ending:
            if not may_become_error(scope):
                raise
            failure = as_failure(ending)
            self._escaped_error(scope, state, failure, answered)
            raise failure from failure.__cause__
        finally:
            breadcrumbs.end(ring)
            current_state.reset(token)
            # The state references the request, which references `send`, and the error, whose mark
            # references the state: these cycles would keep all frames until a garbage collection.
            watched = state.logged = state.reading = state.repeated = None

    def __deepcopy__(self, _memo: object) -> "ErrorReportingMiddleware":
        """Itself: it is in the scope, of which Hypercorn's ProxyFixMiddleware makes a copy."""
        return self

    def record_response(self, scope: Any, state: RequestState, status: int) -> None:
        """Record a 5xx for which nothing was recorded, or the exception that it answers."""
        if state.is_expected(status, self._app):
            self._count_expected(state.expected)
            return
        state.recorded = True
        error = exception_answered(scope)
        if error is not None:  # it escapes later, and is logged then
            self._record(error, partial(_context, scope, state))
            return
        message = f"Response {status} {_phrase(status)}".rstrip()
        path = state.request and state.request.endpoint
        record = _log_record(message, path=path or str(scope["type"]))
        self._record(record, partial(_context, scope, state))

    def _escaped_error(
        self, scope: Any, state: RequestState, error: Exception, answered: bool
    ) -> None:
        if scope["type"] == "http" and not answered:  # then the server answers with a 500
            self._traffic.responses += 1
            self._traffic.failures += 1
        self._record(error, partial(_context, scope, state))
        state.recorded = True
        if state.logged is not error and not self._app.testing:
            self._app.logger.error(
                "Exception on request %s %s",
                scope.get("method", "websocket"),
                scope["path"],
                exc_info=error,
            )

    def _count_expected(self, name: str) -> None:
        self._expected[name] += 1
        now = time.monotonic()
        if now - self._expected_logged_at >= _EXPECTED_EVERY or not self._expected_logged_at:
            self._expected_logged_at = now
            counts = ", ".join(f"{name} {count}" for name, count in self._expected.items())
            self._expected.clear()
            _logger.warning("Answers that were expected to be 5xx since the last line: %s", counts)


def is_recorded(scope: Any = None) -> bool:
    """Whether the journal has the error that the response being made answers, a 500.

    An error that is otherwise recorded when the response begins is recorded now. The `scope` is
    that of a request whose context has ended. False where the middleware sees no request.
    """
    state = current_state.get()
    if state is None:
        return False
    if not state.recorded:
        asgi: Any = scope or (state.request.scope if state.request else {})
        middleware: ErrorReportingMiddleware | None = asgi.get(_SEEN)
        if middleware is not None:
            middleware.record_response(asgi, state, HTTPStatus.INTERNAL_SERVER_ERROR)
    return state.recorded and not state.refused


def _is_cancelled_by_itself(app: Any) -> bool:
    ask = getattr(app, "is_cancelled_by_itself", None)  # an application of flasklike
    return ask is not None and bool(ask())


def _context(scope: Any, state: RequestState) -> Context:
    if state.request is None:
        return context_of_asgi(scope, _MECHANISM)
    return context_of_request(state.request, _MECHANISM)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _log_record(message: str, *, path: str) -> logging.LogRecord:
    """A log record for a response without one; it is grouped by message and place."""
    return logging.LogRecord("quartapp", logging.ERROR, path, 0, message, (), None, path)
