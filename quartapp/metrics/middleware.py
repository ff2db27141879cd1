"""Counts requests and websockets, and answers scrapes, before anything of the application.

A request is counted once, when its response begins: streams are not counted at their end, and what
happens after the beginning changes nothing. One whose client leaves before is counted with the
status 499, as by nginx, and an exception that leaves the application with 500.
"""

from asyncio import CancelledError
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from quart import Quart, has_websocket_context, request, websocket
from quart.signals import request_started, websocket_started

from quartapp.installation import MEASURING, Outer
from quartapp.metrics.catalogue import (
    DURATION,
    IN_PROGRESS,
    LATENCY,
    UNMATCHED,
    WEBSOCKETS,
    WEBSOCKETS_OPEN,
)
from quartapp.metrics.store import Store

_SEEN = "quartapp.metrics"
_LEFT = 499
_SUM = len(LATENCY) + 1
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

Answer = Callable[[Any, Any], Awaitable[None]]
"""Answers a scrape: called with its scope and `send`."""


class _Open:
    """A request that is being answered. `request` is None until the application has routed it."""

    __slots__ = ("request",)

    def __init__(self) -> None:
        self.request: Any = None

    @property
    def route(self) -> str:
        rule = None if self.request is None else self.request.url_rule
        return UNMATCHED if rule is None else rule.rule


_current: ContextVar[_Open | None] = ContextVar("quartapp.metrics", default=None)


def connect(app: Quart) -> None:
    """Note the routes of an application's requests."""
    request_started.connect(_note_route, sender=app)
    websocket_started.connect(_note_route, sender=app)


# A coroutine function, because Quart runs other receivers in a thread.
async def _note_route(_sender: Quart, **_: object) -> None:
    # The rule is read when the response begins: the inbox sets it later.
    opened = _current.get()
    if opened is not None:
        proxy: Any = websocket if has_websocket_context() else request
        opened.request = proxy._get_current_object()


class MetricsMiddleware(Outer):
    """ASGI middleware. `scrapes` decides which requests `answer` gets; the application knows
    nothing of them, and answers all others, so that these cannot find out that there are any."""

    def __init__(
        self, asgi_app: Any, store: Store, scrapes: Callable[[Any], bool], answer: Answer
    ) -> None:
        super().__init__(asgi_app, MEASURING)
        self._store = store
        self._scrapes = scrapes
        self._answer = answer
        self._places: dict[tuple[str, str, int], int] = {}
        self._in_progress = store.place(IN_PROGRESS)
        self._open = store.place(WEBSOCKETS_OPEN)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["type"]
        if kind == "http":
            if scope.get(_SEEN) is self._store:
                await self.asgi_app(scope, receive, send)
            elif self._scrapes(scope):
                await self._answer(scope, send)
            else:
                scope[_SEEN] = self._store  # by the outermost one
                await self._count_request(scope, receive, send)
        elif kind == "websocket" and scope.get(_SEEN) is not self._store:
            scope[_SEEN] = self._store
            await self._count_websocket(scope, receive, send)
        else:
            await self.asgi_app(scope, receive, send)

    async def _count_request(self, scope: Any, receive: Any, send: Any) -> None:
        began = perf_counter()
        opened = _Open()
        numbers = self._store.numbers
        numbers[self._in_progress] += 1
        has_begun = False

        # Not a coroutine function, which would cost a microsecond more.
        def watch(message: Any) -> Awaitable[None]:
            nonlocal has_begun
            if message["type"] == "http.response.start" and not has_begun:
                has_begun = True
                self._note(opened, scope["method"], message["status"], began)
            return send(message)  # type: ignore[no-any-return]

        token = _current.set(opened)
        try:
            await self.asgi_app(scope, receive, watch)
        except CancelledError:
            if not has_begun:
                has_begun = True
                self._note(opened, scope["method"], _LEFT, began)
            raise
        except BaseException:
            if not has_begun:  # the server answers
                has_begun = True
                self._note(opened, scope["method"], 500, began)
            raise
        finally:
            _current.reset(token)
            numbers[self._in_progress] -= 1
            if not has_begun:  # the client has left, and the application has noticed
                self._note(opened, scope["method"], _LEFT, began)
            opened.request = None  # it references `send`: a cycle

    def _note(self, opened: _Open, method: str, status: int, began: float) -> None:
        seconds = perf_counter() - began
        key = (opened.route, method if method in _METHODS else "other", status)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._store.place(DURATION, key[0], key[1], str(status))
        numbers = self._store.numbers
        numbers[place + bisect_left(LATENCY, seconds)] += 1
        numbers[place + _SUM] += seconds

    async def _count_websocket(self, scope: Any, receive: Any, send: Any) -> None:
        opened = _Open()
        status = 0

        def watch(message: Any) -> Awaitable[None]:
            nonlocal status
            if not status:
                status = _status_of(message)
                if status:
                    self._store.add(WEBSOCKETS, 1, opened.route, str(status))
                    self._store.numbers[self._open] += status == 101
            return send(message)  # type: ignore[no-any-return]

        token = _current.set(opened)
        try:
            await self.asgi_app(scope, receive, watch)
        except BaseException as error:
            if not status:
                left = isinstance(error, CancelledError)
                status = _LEFT if left else 500
                self._store.add(WEBSOCKETS, 1, opened.route, str(status))
            raise
        finally:
            _current.reset(token)
            if not status:
                self._store.add(WEBSOCKETS, 1, opened.route, str(_LEFT))
            self._store.numbers[self._open] -= status == 101
            opened.request = None


def _status_of(message: Any) -> int:
    """The status that the client of a websocket sees, if this message decides it, else 0."""
    match message["type"]:
        case "websocket.accept":
            return 101
        case "websocket.close":
            return 403
        case "websocket.http.response.start":
            return int(message["status"])
    return 0
