"""The doors: every way in which an error shows itself, each leading to the recorder.

| an error | comes in by |
|---|---|
| is logged on the application's logger, at ERROR or above | `LogDoor` |
| was handled by no error handler | `got_request_exception`, `got_websocket_exception` |
| fails a background task | `got_background_exception` |
| leaves as a 5xx, or escapes, and none of the above saw it | the guard |
| fails a task that nobody awaits | the event loop's exception handler |
| ends a thread, or the process | `threading.excepthook`, `sys.excepthook` |

Each occurrence is recorded once, by the door it reaches first.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import Counter
from http import HTTPStatus
from types import TracebackType
from typing import Any

from quart import Quart, has_websocket_context, request, websocket
from quart.signals import (
    got_background_exception,
    got_request_exception,
    got_websocket_exception,
    request_started,
    websocket_started,
)

from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.reporting.hooks.middleware import Guard
from quartapp.reporting.hooks.request_context import UserId, describe, of_asgi, of_request
from quartapp.reporting.hooks.request_state import Scope, current_scope, is_marked, mark
from quartapp.reporting.recorder import Recorder, Subject

_OWN_LOGGERS = ("quartapp.logfile.", "quartapp.mail.", "quartapp.redact.", "quartapp.reporting.")
_EXPECTED_EVERY = 60.0

_logger = logging.getLogger(__name__)


class Doors:
    """All doors of one application. `open` in `create_app`; `open_process` while serving."""

    def __init__(self, app: Quart, recorder: Recorder, user_id: UserId) -> None:
        self._app = app
        self._recorder = recorder
        self._user_id = user_id
        self._log_door = LogDoor(self)
        self._expected: Counter[str] = Counter()
        self._expected_said_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hooks: tuple[Any, Any] | None = None

    def open(self) -> None:
        """Open the doors that belong to the application."""
        app: Any = self._app
        app.asgi_app = Guard(app.asgi_app, self)
        request_started.connect(self._on_start, sender=self._app)
        websocket_started.connect(self._on_start, sender=self._app)
        got_request_exception.connect(self._on_exception, sender=self._app)
        got_websocket_exception.connect(self._on_exception, sender=self._app)
        got_background_exception.connect(self._on_background, sender=self._app)
        _attach(logging.getLogger(self._app.name), self._log_door)

    def open_process(self) -> None:
        """Open the doors that belong to the process and its loop; call it in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_loop_exception)
        if self._hooks is None:
            self._hooks = (sys.excepthook, threading.excepthook)
            sys.excepthook, threading.excepthook = self._on_uncaught, self._on_thread_exception

    def close_process(self) -> None:
        """Give the process and the loop back as they were."""
        if self._loop is not None:
            self._loop.set_exception_handler(None)
            self._loop = None
        if self._hooks is not None:
            sys.excepthook, threading.excepthook = self._hooks
            self._hooks = None

    def record(self, subject: Subject, context: Context | None = None, *, door: str = "") -> None:
        """Record an error unless it is marked as recorded, and mark it. Never raises."""
        error = exception_of(subject)
        if error is not None and is_marked(error):
            return
        self._recorder.record(subject, lambda _: context or describe(door, self._user_id))
        if error is not None:
            mark(error)

    async def _on_start(self, _sender: Quart, **_: object) -> None:
        # The guard sees responses when their context is gone, and wants the route all the same.
        scope = current_scope.get()
        if scope is not None:
            proxy: Any = websocket if has_websocket_context() else request
            scope.request = proxy._get_current_object()

    # Coroutines, because Quart sends others to a thread.
    async def _on_exception(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self.record(exception, door="request")
        _explain()

    async def _on_background(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self.record(exception, door="background")

    def log(self, record: logging.LogRecord) -> None:
        """The log door's own way in."""
        error = exception_of(record)
        scope = current_scope.get()
        if scope is not None and error is not None:
            scope.logged = error
        self.record(record, door=getattr(record, "door", "log"))
        _explain()

    def unexplained(self, asgi: Any, scope: Scope, status: int) -> None:
        """A 5xx on its way out of which there is no record yet."""
        if scope.expected:
            self._count_expected(scope.expected)
            return
        record = _record_of(
            f"Response {status} {_phrase(status)}".rstrip(), path=_place(asgi, scope)
        )
        self.record(record, self._describe(asgi, scope))
        scope.explained = True

    def escaped(self, asgi: Any, scope: Scope, error: Exception) -> None:
        """An exception on its way to the server."""
        self.record(error, self._describe(asgi, scope))
        scope.explained = True
        if scope.logged is not error and not self._app.testing:
            self._app.logger.error(
                "Exception on request %s %s",
                asgi.get("method", "websocket"),
                asgi["path"],
                exc_info=error,
            )

    def _describe(self, asgi: Any, scope: Scope) -> Context:
        if scope.request is None:
            return of_asgi(asgi, "guard")
        return of_request(scope.request, "guard")

    def _count_expected(self, name: str) -> None:
        self._expected[name] += 1
        now = time.monotonic()
        if now - self._expected_said_at >= _EXPECTED_EVERY or not self._expected_said_at:
            self._expected_said_at = now
            counts = ", ".join(f"{name} {count}" for name, count in self._expected.items())
            self._expected.clear()
            _logger.warning("Answers that were expected to be 5xx since the last line: %s", counts)

    def _on_loop_exception(self, _loop: object, context: dict[str, Any]) -> None:
        # Without arguments, so that it names its group; asyncio's messages say little that varies.
        self._app.logger.error(
            str(context.get("message", "An error in the event loop")),
            exc_info=context.get("exception"),
            extra={"door": "loop"},
        )

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, Exception):
            name = args.thread.name if args.thread else "?"
            self._app.logger.error(
                "Exception in thread %s", name, exc_info=args.exc_value, extra={"door": "thread"}
            )

    def _on_uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.record(error, door="process")
        previous = self._hooks[0] if self._hooks else sys.__excepthook__
        previous(kind, error, traceback)


class LogDoor(logging.Handler):
    """The handler on the application's logger, for ERROR and above.

    Does not block: its queue is the journal, on disk when `emit` returns. Leaves out what
    reporting itself logs, so that no error can report its own reporting.
    """

    def __init__(self, doors: Doors) -> None:
        super().__init__(logging.ERROR)
        self._doors = doors

    def emit(self, record: logging.LogRecord) -> None:
        if not f"{record.name}.".startswith(_OWN_LOGGERS):
            try:
                self._doors.log(record)
            except Exception:  # noqa: BLE001 - logging never raises
                self.handleError(record)


def _attach(logger: logging.Logger, door: LogDoor) -> None:
    """One application in a process at a time: the newest takes the place of the one before."""
    for handler in logger.handlers[:]:
        if isinstance(handler, LogDoor):
            logger.removeHandler(handler)
    # First, so that it sees a record before any other handler formats it.
    logger.handlers.insert(0, door)


def _explain() -> None:
    scope = current_scope.get()
    if scope is not None:
        scope.explained = True


def _place(asgi: Any, scope: Scope) -> str:
    if scope.request is not None and scope.request.endpoint:
        return scope.request.endpoint
    return str(asgi["type"])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _record_of(message: str, *, path: str) -> logging.LogRecord:
    """A log record for what no code logged; grouped by message and place."""
    return logging.LogRecord("quartapp", logging.ERROR, path, 0, message, (), None, path)
