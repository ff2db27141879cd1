"""The mechanisms: every way in which an error becomes known. Each leads to the recorder.

| an error | arrives by |
|---|---|
| is logged on the application's logger, at ERROR or above | `ErrorReportHandler` |
| was handled by no error handler | `got_request_exception`, `got_websocket_exception` |
| fails a background task | `got_background_exception` |
| leaves as a 5xx, or escapes, and none of the above saw it | `ErrorReportingMiddleware` |
| fails a task that nobody awaits | the event loop's exception handler |
| ends a thread, or the process | `threading.excepthook`, `sys.excepthook` |
| is raised where nobody can catch it: `__del__`, `atexit` | `sys.unraisablehook` |

Each occurrence is recorded once, by the mechanism that it reaches first.
"""

import asyncio
import atexit
import logging
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
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

from quartapp.flasklike.concurrency import StrayExitError
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.reading import ExceptionReading, attach
from quartapp.reporting.hooks.middleware import ErrorReportingMiddleware
from quartapp.reporting.hooks.request_context import UserId, request_context
from quartapp.reporting.hooks.request_state import current_state, is_marked, mark
from quartapp.reporting.recorder import Recorder, Subject

_OWN_LOGGERS = ("quartapp.logfile.", "quartapp.mail.", "quartapp.redact.", "quartapp.reporting.")


class Mechanisms:
    """All mechanisms of one application.

    `install` when the application is built, `install_in_process` when it begins to serve.
    """

    def __init__(self, app: Quart, recorder: Recorder, user_id: UserId) -> None:
        self._app = app
        self._recorder = recorder
        self._user_id = user_id
        self._log_handler = ErrorReportHandler(self)
        self._hooks: tuple[Any, Any, Any] | None = None

    def install(self) -> None:
        """Install the mechanisms that belong to the application."""
        app: Any = self._app
        app.asgi_app = ErrorReportingMiddleware(app.asgi_app, self._app, self.record)
        request_started.connect(self._on_start, sender=self._app)
        websocket_started.connect(self._on_start, sender=self._app)
        got_request_exception.connect(self._on_exception, sender=self._app)
        got_websocket_exception.connect(self._on_exception, sender=self._app)
        got_background_exception.connect(self._on_background, sender=self._app)
        _attach(logging.getLogger(self._app.name), self._log_handler)

    def install_in_process(self) -> None:
        """Install those of the process and of its loop; call it in the running loop."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_exception)
        if self._hooks is None:
            self._hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
            sys.excepthook, threading.excepthook = self._on_uncaught, self._on_thread_exception
            sys.unraisablehook = self._on_unraisable

    def remove_from_process(self) -> None:
        """Restore the hooks of the process. The loop's stays: it ends with the loop."""
        if self._hooks is not None:
            sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
            self._hooks = None
        _install_at_exit(self._on_unraisable)

    def record(self, subject: Subject, context: Callable[[], Context]) -> ExceptionReading | None:
        """Record an error unless it is marked as recorded, and mark it. Never raises.

        Returns what was read of the error that this request recorded last.
        """
        error = exception_of(subject)
        state = current_state.get()
        if error is not None and is_marked(error):
            return state.reading if state else None
        group, reading = self._recorder.record(subject, context)
        if error is not None:
            mark(error)
            if isinstance(error, StrayExitError) and error.__cause__ is not None:
                mark(error.__cause__)  # the loop may have it too, from a task that was awaited
        if state is not None:
            state.group = state.group or group
            state.reading = reading
        return reading

    def _record_here(self, subject: Subject, mechanism: str) -> ExceptionReading | None:
        """Record an error with the request under way, if there is one."""
        return self.record(subject, partial(request_context, mechanism, self._user_id))

    async def _on_start(self, _sender: Quart, **_: object) -> None:
        # The middleware sees responses when their context is gone, and still needs the route.
        state = current_state.get()
        if state is not None:
            proxy: Any = websocket if has_websocket_context() else request
            state.request = proxy._get_current_object()

    # Coroutines, because Quart sends others to a thread.
    async def _on_exception(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self._record_here(exception, "request")
        state = current_state.get()
        if state is not None:
            state.recorded = True

    async def _on_background(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self._record_here(exception, "background")

    def log(self, record: logging.LogRecord) -> None:
        """Record what was logged."""
        reading = self._record_here(record, getattr(record, "mechanism", "log"))
        attach(record, reading)  # the handler of the log file comes after this one
        state = current_state.get()
        if state is not None:
            state.recorded = True
            state.logged = exception_of(record) or state.logged

    def _on_loop_exception(self, _loop: object, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), asyncio.CancelledError):
            return  # a callback of Python 3.11's streams, for a connection that a server cancelled
        if getattr(self._app, "stopping", False) and _is_of_connection(context):
            return  # the server's own, of a connection that it cancelled
        # Without arguments, so that the message names the group; asyncio's messages hardly vary.
        self._app.logger.error(
            str(context.get("message", "An error in the event loop")),
            exc_info=context.get("exception"),
            extra={"mechanism": "loop"},
        )

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit | None):  # an exit ends a thread quietly
            name = args.thread.name if args.thread else "?"
            self._app.logger.error(
                "Exception in thread %s",
                name,
                exc_info=args.exc_value,
                extra={"mechanism": "thread"},
            )

    def _on_unraisable(self, unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        if error is not None:
            self._app.logger.error(
                "Exception in a destructor, or in a function at the exit of the process",
                exc_info=error,
                extra={"mechanism": "unraisable"},
            )
        previous = self._hooks[2] if self._hooks else sys.__unraisablehook__
        if previous is not sys.__unraisablehook__:  # which would write the same again
            previous(unraisable)

    def _on_uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._record_here(error, "process")
        previous = self._hooks[0] if self._hooks else sys.__excepthook__
        previous(kind, error, traceback)


def _is_of_connection(context: dict[str, Any]) -> bool:
    """Whether the loop's message is about a connection's task, whose code is the server's."""
    if str(context.get("message")).endswith("client_connected_cb"):
        return True
    task = context.get("task")
    code = getattr(task.get_coro(), "cr_code", None) if task is not None else None
    return code is not None and "hypercorn" in Path(code.co_filename).parts


_at_exit: list[Callable[[Any], None]] = []


def _install_at_exit(hook: Callable[[Any], None]) -> None:
    """Have the newest application record what functions of `atexit` raise, the first of all."""
    if not _at_exit:
        atexit.register(lambda: setattr(sys, "unraisablehook", _at_exit[0]))
    _at_exit[:] = [hook]


class ErrorReportHandler(logging.Handler):
    """The handler on the application's logger, for ERROR and above.

    When `emit` returns, the record is in the journal. Ignores what the parts that report log
    themselves, so a failure to report cannot cause another report.
    """

    def __init__(self, mechanisms: Mechanisms) -> None:
        super().__init__(logging.ERROR)
        self._mechanisms = mechanisms

    def emit(self, record: logging.LogRecord) -> None:
        if not f"{record.name}.".startswith(_OWN_LOGGERS):
            try:
                self._mechanisms.log(record)
            except Exception:  # noqa: BLE001 - logging never raises
                self.handleError(record)


def _attach(logger: logging.Logger, new: ErrorReportHandler) -> None:
    """One application in a process at a time: the newest replaces the one before."""
    for handler in logger.handlers[:]:
        if isinstance(handler, ErrorReportHandler):
            logger.removeHandler(handler)
    # First, so that it sees a record before any other handler formats it.
    logger.handlers.insert(0, new)
