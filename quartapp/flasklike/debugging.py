"""What a development server may hang into an application as its debugger."""

from typing import Protocol

from quart import Request, Response


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
