"""The ASGI application of the development server: the developer's, with the debugger around it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quart import Quart
from quart.signals import got_serving_exception

from quartapp.breadcrumbs import collecting
from quartapp.debugger.page.rendering import PREFIX
from quartapp.debugger.page.store import Failure
from quartapp.debugger.server.access import Caller
from quartapp.debugger.server.answers import send_answer
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.endpoints import Endpoints

if TYPE_CHECKING:
    from quartapp.debugger.server.development import Development


class Hosting:
    """Answers requests below the debugger's path, and lets the application answer all others.

    `development` answers before the application does, if it is set: `/break/` and `/dev/mail`.

    If the application cannot be loaded or fails to start, every address shows the page of that
    error. `log` is called with it.
    """

    def __init__(self, debugger: Debugger, log: Callable[[BaseException], None]) -> None:
        self.debugger = debugger
        self._endpoints = Endpoints(debugger)
        self._log = log
        self._app: Quart | None = None
        self._serve: Any = None
        self._failure: Failure | None = None
        self._startup_error: BaseException | None = None
        self.development: Development | None = None

    def load(self, load: Callable[[], Quart]) -> Quart | None:
        """Load the application; None if it fails. Its error is kept and shown, a SystemExit too;
        only KeyboardInterrupt is raised."""
        try:
            app = load()
            self.host(app, app)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 the developer's code, which may raise anything
            self._fail(error, "loading the application")
            return None
        return app

    def host(self, app: Quart, serve: Any) -> None:
        """Let `serve`, an ASGI callable of the application, answer what the debugger does not."""
        self.debugger.attach(app)
        self._app, self._serve = app, serve
        got_serving_exception.connect(self._remember, app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        self.debugger.listens_at(scope)
        if scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._endpoints(scope, receive, send)
        elif self._failure is not None:
            await self._show_failure(scope, send, self._failure)
        elif self._serve is not None:
            if self.development is not None and await self.development(scope, receive, send):
                return
            with collecting():
                await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the application answer. What it raises although it has a debugger was raised in an
        ASGI middleware, or while a body was sent."""
        begun = False

        async def relay(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._serve(scope, receive, relay)
        except Exception as error:
            debugger, app = self.debugger, self._app
            shown = app is not None and getattr(app, "debugger", None) is debugger
            if not shown or debugger.has_kept(error):
                raise
            where = f"{scope.get('method', 'websocket')} {scope['path']}"
            if begun or scope["type"] != "http":
                await debugger.note(error, f"the answer to {where}")
                raise
            self._log(error)
            found = debugger.respond(error, where, Caller.from_scope(scope))
            await send_answer(send, found, head=scope["method"] == "HEAD")

    async def _show_failure(self, scope: Any, send: Any, failure: Failure) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011})
            return
        answer = self.debugger.render(failure, Caller.from_scope(scope))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if self._serve is None:
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

        await self._serve(scope, receive, relay)

    def _fail(self, error: BaseException, where: str) -> None:
        self._log(error)
        self._failure = self.debugger.keep(error, where)

    async def _remember(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        self._startup_error = exception
