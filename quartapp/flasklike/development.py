"""The development server, with Flask's arguments, and the interface of a debugger."""

import asyncio
import warnings
from importlib.metadata import entry_points
from typing import Any, Protocol

from quart import Quart, Request, Response
from quart.cli import load_dotenv as load_environment
from quart.helpers import get_load_dotenv

from quartapp.flasklike.config import get_debug_flag

DEBUGGERS = "quart.debuggers"


class Debugger(Protocol):
    """Shows the developer an exception that nobody handled.

    `App.debugger` is None unless a development server set it. It is called when the exception would
    reach the server (PROPAGATE_EXCEPTIONS, or its default in debug mode; never under TESTING). By
    then the signal was sent, the teardown functions have run, and the traceback was logged. Neither
    method raises. A debugger takes what it needs of the contexts from the signals
    `got_request_exception`, `got_websocket_exception` and `got_background_exception`.
    """

    async def answer(self, error: Exception, request: Request) -> Response:
        """The response to a request that failed before its response was begun."""

    async def note(self, error: Exception, where: str) -> None:
        """Keep an error that has no page: in a response that has begun, or in a websocket.

        *where* names the request on the terminal.
        """


class DevelopmentServer(Quart):
    """`run` with the arguments and the defaults of `flask.Flask.run`."""

    debugger: Debugger | None = None

    def create_debugger(self, *, evalex: bool) -> Debugger | None:
        """The debugger that `run` attaches. None means that there is none.

        By default an installed package provides it, by an entry point in the group
        `quart.debuggers`: a function with the application and *evalex* as its arguments, which
        may wrap `asgi_app`. Without *evalex* the debugger shows tracebacks but runs no code.
        """
        for found in entry_points(group=DEBUGGERS):
            made: Debugger | None = found.load()(self, evalex=evalex)
            return made
        return None

    def run(  # Quart's arguments in Quart's places, and Flask's by name
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        use_reloader: bool | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        ca_certs: str | None = None,
        certfile: str | None = None,
        keyfile: str | None = None,
        *,
        load_dotenv: bool = True,
        use_debugger: bool | None = None,
        use_evalex: bool = True,
        **options: Any,
    ) -> None:
        """Serve until interrupted; for development only.

        The reloader and the debugger are used in debug mode, unless the arguments say otherwise. As
        in Flask, a debugger without debug mode sees nothing, because exceptions are answered with
        the 500 page. QUART_DEBUG, FLASK_DEBUG and a .env file have the same effect as for ``quart
        run``; *debug* overrides them. Afterwards the application may be set up further. Quart warns
        of options that only Werkzeug's server has.
        """
        if get_load_dotenv(load_dotenv):
            load_environment()
        if get_debug_flag():
            self.debug = True
        if debug is not None:
            self.debug = bool(debug)
        if self.debug if use_debugger is None else use_debugger:
            self._attach(use_evalex)
        if use_reloader is None:
            use_reloader = bool(self.debug)
        options.pop("threaded", None)  # several requests at a time are always served
        try:
            super().run(
                host or None,
                port,
                self.debug,
                use_reloader,
                loop,
                ca_certs,
                certfile,
                keyfile,
                **options,
            )
        finally:
            self._got_first_request = False

    def _attach(self, evalex: bool) -> None:
        if self.debugger is None:
            self.debugger = self.create_debugger(evalex=evalex)
        if self.debugger is None:
            warnings.warn("This application has no debugger to use.", stacklevel=3)
