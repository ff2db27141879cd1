"""Time limits for requests: until the response starts, and for bodies that arrive slowly.

A request whose response does not start within REQUEST_TIMEOUT seconds is cancelled and answered
with 503 and Retry-After. It is reported as an error of its route; the traceback shows where it
waited. Once the response has started there is no limit, so streams, event streams and accepted
websockets continue.

The time in which a client sends a body does not count. The body must arrive at a minimum rate
instead, as with Apache's mod_reqtimeout ("body=20,MinRate=500"); otherwise the answer is 408, which
is not an error of the server. MOST_BODIES limits the memory that such requests hold.
"""

import asyncio
import time
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any

from quart import Quart

from quartapp.errors.handlers import RETRY_AFTER
from quartapp.errors.refusal import refuse
from quartapp.errors.settings import AdmissionSettings
from quartapp.errors.site import Site
from quartapp.errors.texts import ClientError
from quartapp.flasklike import App

BODY_SECONDS = 20.0
"""Seconds during which a body may arrive at any rate."""

BODY_RATE = 500
"""Bytes per second at which it must arrive after that."""

MOST_BODIES = 1024
"""Bodies that may be arriving at the same time, per worker."""

GRACE = 1.0
"""Seconds that a cancelled request has to end. After them it is answered even if it has not ended,
because a thread cannot be cancelled."""

LOOK_EVERY = 0.25
"""Seconds between two checks of the limits, while requests are open."""

_DEEPEST = 200
_STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.start",
    }
)
_current_task: Any = asyncio.current_task  # an ASGI application runs in a task
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class RequestTimeoutError(TimeoutError):
    """A request was not answered in time. The traceback shows where it waited."""


def wrap(app: Quart, site: Site) -> None:
    """Limit the time of an application's requests. Reads `app.config` (see `AdmissionSettings`).

    Raises RuntimeError for stock Quart, which handles a request in a task that would continue.
    """
    if not isinstance(app, App):
        raise RuntimeError(
            "ErrorPages: deadlines=True needs quartapp.flasklike.App; the view of a stock Quart"
            " would continue after its request was answered"
        )
    settings = AdmissionSettings.from_config(app.config)
    site.deadlines = Deadlines(app, settings.request_timeout, site)
    app.asgi_app = site.deadlines  # type: ignore[method-assign]


class Deadlines:
    """ASGI middleware that ends requests after `seconds` without a response; 0 means no limit."""

    def __init__(self, app: Quart, seconds: float, site: Site) -> None:
        self._app = app
        self._asgi_app: Any = app.asgi_app
        self._seconds = seconds
        self._site = site
        self.stopped = 0
        """The number of requests that were stopped at a limit since the start."""
        self.open: dict[_Request, None] = {}  # the oldest first
        self.bodies: dict[_Request, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()  # that of a request would keep the request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._asgi_app(scope, receive, send)
            return
        request = _Request(self, scope, receive, send)
        if kind == "http" and scope["method"] not in _BODILESS:
            if len(self.bodies) >= MOST_BODIES:
                self._site.expect("bodies")
                await refuse(scope, send, self._busy(), self._site)
                return
            self.bodies[request] = None
            receive = request.receive
        else:
            self.open[request] = None
        if self._timer is None:
            self._look_again()
        try:
            await self._asgi_app(scope, receive, request.send)
        except asyncio.CancelledError as cancelled:
            if request.verdict is None or request.task.cancelling() > 1:
                raise
            request.where = _first(cancelled).__traceback__
        finally:
            self.open.pop(request, None)
            self.bodies.pop(request, None)
            if request.verdict is not None:
                request.task.uncancel()
                await self._end(request)
            # Both have a context whose values refer to `request.send`: cycles for the collector.
            del request.task, request.context

    async def _end(self, request: "_Request") -> None:
        """Answer the request, or wait until it is answered, however the application ended.

        It is not answered here if it was also cancelled elsewhere: the server is stopping.
        """
        if request.timer is not None:
            request.timer.cancel()
        if request.answering is not None:
            await request.answering
        elif not request.has_started and not request.task.cancelling():
            await self._answer(request)

    async def _answer(self, request: "_Request") -> None:
        error, where = request.verdict, request.where
        request.where = None  # it references the frames of the request
        assert error is not None
        reference = None
        if error.status >= 500:
            reference = self._site.reference()
            late = RequestTimeoutError(f"no answer began within {self._seconds:g} seconds")
            self._app.logger.error(
                "Exception on %s [%s]",
                request.scope["path"],
                request.scope.get("method", "websocket"),
                exc_info=late.with_traceback(where),
            )
        request.has_started = True
        await refuse(request.scope, request.server_send, error, self._site, reference=reference)

    def _busy(self) -> ClientError:
        return self._site.describe(503, headers=(("Retry-After", RETRY_AFTER),))

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(
            LOOK_EVERY, self._look, context=self._context
        )

    def _look(self) -> None:
        if not (self.open or self.bodies):
            self._timer = None
            return
        self._look_again()
        now = time.monotonic()
        if self._seconds:
            late = []
            for request in self.open:
                if now - request.since < self._seconds:
                    break
                late.append(request)
            for request in late:
                self._stop(request, self._busy())
        for request in list(self.bodies):
            if request.is_waiting:
                if now - request.began > BODY_SECONDS + request.received / BODY_RATE:
                    self._stop(request, self._site.describe(408))
            elif self._seconds and now - request.since >= self._seconds:
                self._stop(request, self._busy())

    def _stop(self, request: "_Request", error: ClientError) -> None:
        self.stopped += 1
        self.open.pop(request, None)
        self.bodies.pop(request, None)
        request.verdict = error
        request.where = _stack(request.task)
        request.drop()
        request.task.cancel()
        request.timer = request.task.get_loop().call_later(GRACE, self._answer_anyway, request)

    def _answer_anyway(self, request: "_Request") -> None:
        if not request.has_started and request.verdict is not None:
            loop = request.task.get_loop()
            request.answering = loop.create_task(self._answer(request), context=request.context)


class _Request:
    """The state that `Deadlines` keeps of a request."""

    answering: asyncio.Future[None] | None = None
    has_started = False
    is_waiting = False
    received = 0
    timer: asyncio.TimerHandle | None = None
    verdict: ClientError | None = None
    where: TracebackType | None = None

    def __init__(self, owner: Deadlines, scope: Any, receive: Any, send: Any) -> None:
        self.task = _current_task()
        self.context = copy_context()
        self.scope = scope
        self.since = self.began = time.monotonic()
        self._open = owner.open
        self._bodies = owner.bodies
        self._receive = receive
        self.server_send = self._send = send

    async def receive(self) -> Any:
        self.is_waiting = True
        message = await self._receive()
        self.is_waiting = False
        if self in self._bodies:
            self.since = time.monotonic()
            self.received += len(message.get("body", b""))
            if not message.get("more_body", False):
                del self._bodies[self]
                self._open[self] = None
        return message

    def send(self, message: Any) -> Any:
        """ASGI's `send`. It returns the awaitable of the server's; a coroutine would cost more."""
        if not self.has_started and message["type"] in _STARTS and self.verdict is None:
            self.has_started = True
            self._open.pop(self, None)
            self._bodies.pop(self, None)
        return self._send(message)

    def drop(self) -> None:
        """Discard what the application sends from now on: it is too late."""
        self._send = _drop


def _stack(task: asyncio.Task[Any]) -> TracebackType | None:
    """The coroutines of a waiting task as a traceback, down to the first other awaitable."""
    waits: Any = task.get_coro()
    frames: list[Any] = []
    while (frame := getattr(waits, "cr_frame", None)) is not None and len(frames) < _DEEPEST:
        frames.append(frame)
        waits = waits.cr_await
    found = None
    for frame in reversed(frames):
        found = TracebackType(found, frame, max(frame.f_lasti, 0), frame.f_lineno)
    return found


def _first(cancelled: BaseException) -> BaseException:
    """The CancelledError raised where the request waited; later ones have it as their context."""
    while isinstance(cancelled.__context__, asyncio.CancelledError):
        cancelled = cancelled.__context__
    return cancelled


async def _drop(_message: Any) -> None:
    """A `send` that discards responses that are too late."""
