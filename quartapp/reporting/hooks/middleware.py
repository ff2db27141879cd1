"""The outermost mechanism: whatever leaves the application as a 5xx, or escapes from it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from quartapp.reporting.hooks.request_state import RequestState, current_state

_RESPONSE_STARTS = {"http.response.start", "websocket.http.response.start"}

Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Any, Receive, Send], Awaitable[None]]


class Watcher(Protocol):
    """Is notified of what the middleware sees, before the response goes on."""

    def unrecorded_response(self, asgi: Any, state: RequestState, status: int) -> None: ...

    def escaped_error(self, asgi: Any, state: RequestState, error: Exception) -> None: ...


class ErrorReportingMiddleware:
    """ASGI middleware that gives each request its state and lets no 5xx pass unrecorded.

    Changes nothing: messages and exceptions go on as they came. Cancellation is no error.
    """

    def __init__(self, app: ASGI, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher

    async def __call__(self, asgi: Any, receive: Receive, send: Send) -> None:
        if asgi["type"] not in {"http", "websocket"}:
            await self._app(asgi, receive, send)
            return
        state = RequestState()
        watched: RequestState | None = state

        async def watch(message: Message) -> None:
            fails = message["type"] in _RESPONSE_STARTS and message["status"] >= 500
            if fails and watched is not None and not watched.recorded:
                self._watcher.unrecorded_response(asgi, watched, message["status"])
            await send(message)

        token = current_state.set(state)
        try:
            await self._app(asgi, receive, watch)
        except Exception as error:
            self._watcher.escaped_error(asgi, state, error)
            raise
        finally:
            current_state.reset(token)
            # The state holds the request, which holds `send`, and the error, whose mark holds the
            # state: such circles would keep all frames until the garbage collector comes.
            watched = state.logged = None
