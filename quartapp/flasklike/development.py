"""The development server, with Flask's arguments."""

import asyncio
import warnings
from typing import Any, Protocol

from quart import Quart, Request, Response
from quart.cli import load_dotenv as load_environment
from quart.helpers import get_debug_flag, get_load_dotenv


class Debugger(Protocol):
    """Shows the developer an exception that nobody handled.

    `App.debugger` is None unless a development server set it. The connection classes call it
    when the exception would reach the server (PROPAGATE_EXCEPTIONS, or its default in debug
    mode; never under TESTING), after the signal was sent, the teardown functions ran and the
    traceback was logged. Neither method raises. What it needs of the contexts it has taken
    itself, from the signals `got_request_exception`, `got_websocket_exception` and
    `got_background_exception`.
    """

    async def answer(self, error: Exception, request: Request) -> Response:
        """The response to a request that failed before its response was begun."""

    async def note(self, error: Exception, where: str) -> None:
        """Keep an error that has no page: in a streamed body after its first byte, or in a
        WebSocket. `where` names the request in the line on the terminal.
        """


class DevelopmentServer(Quart):
    """What `flask.Flask.run` is to a Flask application."""

    debugger: Debugger | None = None

    def create_debugger(self, *, evalex: bool) -> Debugger | None:
        """Make the debugger that `run` attaches; None where there is none, as here.

        To be overridden. Without *evalex* it shows tracebacks but runs no code.
        """
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

        The reloader and the debugger are used in debug mode unless said otherwise. As in Flask, a
        debugger without debug mode sees nothing: exceptions are answered with the 500 page.
        QUART_DEBUG and a .env file count as they do for ``quart run``; *debug* overrides them.
        Afterwards the application may be set up further. What Werkzeug's server takes besides is
        warned about.
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
        options.pop("threaded", None)  # what Flask's means, a coroutine server always does
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
