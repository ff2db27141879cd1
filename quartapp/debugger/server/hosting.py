"""The ASGI application of the development server: the developer's, with the debugger around it."""

from collections.abc import Callable
from typing import Any

from quart import Quart
from quart.signals import got_serving_exception

from quartapp.debugger.page.rendering import PREFIX
from quartapp.debugger.page.store import Failure
from quartapp.debugger.server.access import Caller
from quartapp.debugger.server.answers import send_answer
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.endpoints import Endpoints


class Hosting:
    """Answers requests below the debugger's path, and lets the application answer all others.

    If the application cannot be loaded or fails to start, every address shows the page of that
    error. `log` is called with it.
    """

    def __init__(self, debugger: Debugger, log: Callable[[BaseException], None]) -> None:
        self._debugger = debugger
        self._endpoints = Endpoints(debugger)
        self._log = log
        self._app: Quart | None = None
        self._failure: Failure | None = None
        self._startup_error: BaseException | None = None

    def load(self, load: Callable[[], Quart]) -> Quart | None:
        """Load the application; None if it fails. Its error is kept and shown, a SystemExit too;
        only KeyboardInterrupt is raised."""
        try:
            app = load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 the developer's code, which may raise anything
            self._fail(error, "loading the application")
            return None
        self._app = app
        self._debugger.attach(app)
        got_serving_exception.connect(self._remember, app)
        return app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._endpoints(scope, receive, send)
        elif self._failure is not None:
            await self._show_failure(scope, send, self._failure)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _show_failure(self, scope: Any, send: Any, failure: Failure) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011})
            return
        answer = self._debugger.render(failure, Caller.from_scope(scope))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            for name in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{name}.complete"})
            return

        async def relay(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                error = self._startup_error or RuntimeError(message.get("message", ""))
                self._fail(error, "starting the application")
                message = {"type": "lifespan.startup.complete"}
            elif self._failure is not None:
                # An application that did not start up may fail to shut down; the server does not
                # wait for it.
                message = {"type": "lifespan.shutdown.complete"}
            await send(message)

        await self._app(scope, receive, relay)

    def _fail(self, error: BaseException, where: str) -> None:
        self._log(error)
        self._failure = self._debugger.keep(error, where)

    async def _remember(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        self._startup_error = exception
