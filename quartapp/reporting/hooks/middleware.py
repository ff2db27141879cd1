"""The outermost door: whatever leaves the application as a 5xx, or escapes from it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from quartapp.reporting.hooks.request_state import Scope, current_scope

_RESPONSE_STARTS = {"http.response.start", "websocket.http.response.start"}

Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Any, Receive, Send], Awaitable[None]]


class Watcher(Protocol):
    """Who is told of what the guard sees; called before the response goes on."""

    def unexplained(self, asgi: Any, scope: Scope, status: int) -> None: ...

    def escaped(self, asgi: Any, scope: Scope, error: Exception) -> None: ...


class Guard:
    """ASGI middleware that gives each request its scope and lets no 5xx pass unrecorded.

    Changes nothing: messages and exceptions go on as they came. Cancellation is no error.
    """

    def __init__(self, app: ASGI, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher

    async def __call__(self, asgi: Any, receive: Receive, send: Send) -> None:
        if asgi["type"] not in {"http", "websocket"}:
            await self._app(asgi, receive, send)
            return
        scope = Scope()
        watched: Scope | None = scope

        async def watch(message: Message) -> None:
            fails = message["type"] in _RESPONSE_STARTS and message["status"] >= 500
            if fails and watched is not None and not watched.explained:
                self._watcher.unexplained(asgi, watched, message["status"])
            await send(message)

        token = current_scope.set(scope)
        try:
            await self._app(asgi, receive, watch)
        except Exception as error:
            self._watcher.escaped(asgi, scope, error)
            raise
        finally:
            current_scope.reset(token)
            # The scope holds the request, which holds `send`, and the error, whose mark holds the
            # scope: such circles would keep all frames until the garbage collector comes.
            watched = scope.logged = None
