"""The mechanisms: every way in which an error becomes known. Each calls the recorder.

| an error | arrives by |
|---|---|
| is logged on the application's logger, at ERROR or above | `ErrorReportHandler` |
| was handled by no error handler | `got_request_exception`, `got_websocket_exception` |
| fails a background task | `got_background_exception` |
| becomes a 5xx response or escapes, and none of the above saw it | `ErrorReportingMiddleware` |
| fails a task that nobody awaits | the event loop's exception handler |
| ends a thread, or the process | `threading.excepthook`, `sys.excepthook` |
| is raised where nobody can catch it: `__del__`, `atexit` | `sys.unraisablehook` |

Each occurrence is recorded once, by the first mechanism that it reaches. What belongs to the
process or to its loop is recorded by the application whose context is current, otherwise by the
newest one that serves.
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
from typing import Any, ParamSpec
from weakref import WeakMethod

from quart import Quart, current_app, has_app_context, has_websocket_context, request, websocket
from quart.signals import (
    got_background_exception,
    got_request_exception,
    got_websocket_exception,
    request_started,
    websocket_started,
)

from quartapp import breadcrumbs
from quartapp.flasklike import App
from quartapp.flasklike.concurrency.cancellation import StrayExitError, errors_of
from quartapp.installation import RECORDING, wrap_outermost
from quartapp.redact.chain import chain, is_group
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of
from quartapp.redact.reading import ExceptionReading, attach, summarize
from quartapp.reporting.hooks.middleware import ErrorReportingMiddleware
from quartapp.reporting.hooks.request_context import UserId, met, request_context
from quartapp.reporting.hooks.request_state import current_state, errors_in, is_marked, mark
from quartapp.reporting.hooks.traffic import Traffic
from quartapp.reporting.recorder import Recorder, Subject, culprit

P = ParamSpec("P")

_OWN_LOGGERS = ("quartapp.logfile.", "quartapp.mail.", "quartapp.redact.", "quartapp.reporting.")


class Mechanisms:
    """All mechanisms of one application.

    Call `install` when the application is built, `install_in_process` when it begins to serve.
    """

    def __init__(self, app: Quart, recorder: Recorder, user_id: UserId) -> None:
        self._app = app
        self._recorder = recorder
        self._user_id = user_id
        self._met = partial(met, user_id)
        self.traffic = Traffic()
        self._log_handler = ErrorReportHandler(self)
        self._hooks: tuple[Any, Any, Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def install(self) -> None:
        """Install the mechanisms that belong to the application."""
        self._wrap()
        if not isinstance(self._app, App):
            _contain_exits(self._app)
        request_started.connect(self._on_start, sender=self._app)
        websocket_started.connect(self._on_start, sender=self._app)
        got_request_exception.connect(self._on_exception, sender=self._app)
        got_websocket_exception.connect(self._on_exception, sender=self._app)
        got_background_exception.connect(self._on_background, sender=self._app)
        _attach(logging.getLogger(self._app.name), self._log_handler)

    def _wrap(self) -> None:
        """Put the middleware around others, so that it sees what they answer."""

        def make(inner: Any) -> ErrorReportingMiddleware:
            return ErrorReportingMiddleware(inner, self._app, self.record, self.traffic)

        wrap_outermost(self._app, make, RECORDING)

    def install_in_process(self) -> None:
        """Install the mechanisms of the process and of its loop. Call it in the running loop.

        What was wrapped around the application meanwhile, or has replaced the handlers of its
        logger, is put behind ours.
        """
        self._wrap()
        _attach(logging.getLogger(self._app.name), self._log_handler)
        breadcrumbs.install()
        observe = getattr(self._app.extensions.get("database"), "observe", None)
        if observe is not None:
            observe(breadcrumbs.add_statement)
        self._loop = asyncio.get_running_loop()
        self._handle_errors_of(self._loop)
        if self._hooks is None:
            _serving.append(self)
            self._hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
            sys.excepthook = _while_alive(self._on_uncaught, sys.__excepthook__)
            threading.excepthook = _while_alive(self._on_thread_exception, threading.__excepthook__)
            sys.unraisablehook = self._on_unraisable

    def remove_from_process(self) -> None:
        """Restore the hooks of the process. The loop keeps its handler, which ends with it.

        Other applications that serve keep the hooks, and get the loop and the logger.
        """
        if self._hooks is not None:
            newer = _serving[_serving.index(self) + 1 :]
            _serving.remove(self)
            if newer:
                newer[0]._hooks = self._hooks
            else:
                sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
            self._hooks = None
            for other in _serving:  # the newest one at last
                if other._loop is self._loop and self._loop is not None:
                    other._handle_errors_of(self._loop)
                if other._app.name == self._app.name:
                    _attach(logging.getLogger(self._app.name), other._log_handler)
        _install_at_exit(self._on_unraisable)

    def _handle_errors_of(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_exception_handler(_while_alive(self._on_loop_exception, _handled_by_asyncio))

    def _of_current_app(self) -> "Mechanisms":
        """Return those of the application whose context is current, if it serves, else these."""
        app: Any = current_app
        current = app._get_current_object() if has_app_context() else None
        return next((one for one in _serving if one._app is current), self)

    def record(self, subject: Subject, context: Callable[[], Context]) -> ExceptionReading | None:
        """Record an error unless it is marked as recorded, and mark it. Never raises.

        Of a group, members for which its report has no room get a report of their own.
        Returns the reading of the error, or of the last one of this request if it was marked.
        """
        error = exception_of(subject)
        state = current_state.get()
        if error is not None and is_marked(error):
            return state.reading if state else None
        group, reading, is_repeated, is_refused = self._recorder.record(subject, context, self._met)
        if error is not None:
            mark(error)
            if isinstance(error, StrayExitError) and error.__cause__ is not None:
                mark(error.__cause__)  # the loop may receive it too, from an awaited task
            if is_group(error):
                self._record_members(error, context)
        if state is not None:
            state.group = state.group or group
            state.reading = reading
            state.repeated = error if is_repeated else None
            state.refused = state.refused or is_refused
        return reading

    def _record_members(self, group: BaseException, context: Callable[[], Context]) -> None:
        """Mark the members of a recorded group; record those that its report does not show."""
        shown = {id(exception) for exception, _ in chain(group)}
        for member in errors_in(group):
            if not (id(member) in shown or is_marked(member)):
                self._recorder.record(member, context, self._met)
            mark(member)

    def _record_here(self, subject: Subject, mechanism: str) -> ExceptionReading | None:
        """Record an error with the current request, if there is one."""
        return self.record(subject, partial(request_context, mechanism, self._user_id))

    async def _on_start(self, _sender: Quart, **_: object) -> None:
        # The middleware sees responses after their context has ended, and still needs the route.
        state = current_state.get()
        if state is not None:
            proxy: Any = websocket if has_websocket_context() else request
            state.request = proxy._get_current_object()

    # Coroutines, because Quart runs other receivers in a thread.
    async def _on_exception(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self._record_here(exception, "request")
        state = current_state.get()
        if state is not None:
            state.recorded = True

    async def _on_background(self, _sender: Quart, exception: Exception, **_: object) -> None:
        self._record_here(exception, "background")

    def log_of_application(self, record: logging.LogRecord) -> None:
        """Record a log record for that one of the applications of this name that has logged it."""
        current = self._of_current_app()
        (current if current._app.name == self._app.name else self).log(record)

    def log(self, record: logging.LogRecord) -> None:
        """Record a log record.

        While a request's error repeats, its traceback is left out of the log: earlier lines and the
        journal have it.
        """
        reading = self._record_here(record, getattr(record, "mechanism", "log"))
        attach(record, reading)  # the handler of the log file runs later
        state = current_state.get()
        if state is None:
            return
        state.recorded = True
        record.error_reference = state.reference  # for the log file
        error = exception_of(record)
        state.logged = error or state.logged
        if error is not None and error is state.repeated and not self._app.debug:
            where = culprit(error.__traceback__, self._recorder.places)
            what = f"in {where}; its traceback" if where else "it"
            summarize(record, f"({what} was logged before)")

    def _on_loop_exception(self, _loop: object, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), asyncio.CancelledError):
            return  # a callback of Python 3.11's streams, after a server cancelled its connection
        if getattr(self._app, "stopping", False) and _is_of_connection(context):
            return  # raised by the server, for a connection that it cancelled
        # Without arguments, so that the message determines the group; asyncio's hardly vary.
        self._of_current_app()._app.logger.error(
            str(context.get("message", "An error in the event loop")),
            exc_info=context.get("exception"),
            extra={"mechanism": "loop"},
        )

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit | None):  # an exit ends a thread silently
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
        if previous is not sys.__unraisablehook__:  # which would print the same again
            previous(unraisable)

    def _on_uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._record_here(error, "process")
        previous = self._hooks[0] if self._hooks else sys.__excepthook__
        previous(kind, error, traceback)


def _handled_by_asyncio(loop: Any, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)


def _while_alive(method: Callable[P, None], default: Callable[P, object]) -> Callable[P, None]:
    """A hook that calls *method* without keeping its object alive, and *default* after its end.

    Each thread keeps the hooks that were installed when it was started, and what has waited in an
    event loop keeps the loop, as a lock of a database's driver that SQLAlchemy's caches refer to.
    """
    reference = WeakMethod(method)

    def hook(*args: P.args, **kwargs: P.kwargs) -> None:
        (reference() or default)(*args, **kwargs)

    return hook


def _contain_exits(app: Any) -> None:
    """Make an exit in a view of stock Quart an error, as `App` does: answered and recorded.

    In the task of a request SystemExit would end the event loop, and the worker with all requests.
    """
    app.full_dispatch_request = errors_of(app.full_dispatch_request)
    app.full_dispatch_websocket = errors_of(app.full_dispatch_websocket)


def _is_of_connection(context: dict[str, Any]) -> bool:
    """Whether the loop's message is about a task of a connection, which runs code of the server."""
    if str(context.get("message")).endswith("client_connected_cb"):
        return True
    task = context.get("task")
    code = getattr(task.get_coro(), "cr_code", None) if task is not None else None
    return code is not None and "hypercorn" in Path(code.co_filename).parts


_serving: list[Mechanisms] = []
"""Those of the applications that serve in this process, the newest one last."""

_at_exit: list[Callable[[Any], None]] = []


def _install_at_exit(hook: Callable[[Any], None]) -> None:
    """Make the newest application record what functions of `atexit` raise."""
    if not _at_exit:
        atexit.register(lambda: setattr(sys, "unraisablehook", _at_exit[0]))
    _at_exit[:] = [hook]


class ErrorReportHandler(logging.Handler):
    """The handler on the application's logger, for ERROR and above.

    When `emit` returns, the record is in the journal. It ignores the loggers of the reporting
    parts, so a failure to report cannot cause another report.
    """

    def __init__(self, mechanisms: Mechanisms) -> None:
        super().__init__(logging.ERROR)
        self._mechanisms = mechanisms

    def emit(self, record: logging.LogRecord) -> None:
        if not f"{record.name}.".startswith(_OWN_LOGGERS):
            try:
                self._mechanisms.log_of_application(record)
            except Exception:  # noqa: BLE001 - logging never raises
                self.handleError(record)


def _attach(logger: logging.Logger, new: ErrorReportHandler) -> None:
    """Attach a handler in place of another application's with the same name."""
    for handler in logger.handlers[:]:
        if isinstance(handler, ErrorReportHandler):
            logger.removeHandler(handler)
    # First, so that it sees a record before any other handler formats it.
    logger.handlers.insert(0, new)
