"""One worker of uvicorn, with httptools, wsproto, and the bounds of a request's head.

Only documented settings, and classes and methods with public names are used.
"""

import asyncio
import math
import socket
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from quartapp.serving.lifespan import Application
from quartapp.serving.stopping import PARTING, UntilTold, accept_no_more

HEAD_SIZE = 65_536
"""Bytes of a request's head that are kept while it is incomplete. `errors.bounds` has less."""

HEAD_TIMEOUT = 5.0
"""Seconds within which a request's head must be complete, as Hypercorn has it."""

PIPELINED = 100
"""Requests of a connection that may wait for the response to the one before."""


async def serve(
    app: Application,
    listener: socket.socket,
    until_told: UntilTold,
    grace: float,
) -> None:
    """Serve on the listener, which is used up: call `until_told`, and stop when it returns."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        # uvicorn logs a cancelled request as an error. Who cancelled it has answered and logged.
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    config = uvicorn.Config(
        served,
        interface="asgi3",
        lifespan="off",
        http=_Connection,
        ws=_WebSocket,
        ws_ping_interval=None,
        workers=1,
        proxy_headers=False,
        forwarded_allow_ips="",
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",
        timeout_keep_alive=int(HEAD_TIMEOUT),
        # A fallback: before it, `stopping` and `_Server` end all requests and connections.
        timeout_graceful_shutdown=math.ceil(grace + PARTING + 1),
    )
    await _Server(config, until_told, grace).serve([listener])


class _Server(uvicorn.Server):
    """A server that stops when it is told to, and handles no signals."""

    def __init__(
        self,
        config: uvicorn.Config,
        until_told: UntilTold,
        grace: float,
    ) -> None:
        super().__init__(config)
        self._until_told = until_told
        self._grace = grace

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def main_loop(self) -> None:
        ticking = asyncio.create_task(super().main_loop())
        try:
            await self._until_told(self._leave)
        finally:
            ticking.cancel()

    def _leave(self) -> None:
        accept_no_more(self.servers)
        closing = (b"connection", b"close")
        self.config.encoded_headers.append(closing)  # for each second's default headers
        self.server_state.default_headers = [*self.server_state.default_headers, closing]
        for connection in list(self.server_state.connections):
            if (cycle := getattr(connection, "cycle", None)) is not None:
                cycle.keep_alive = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        abort = loop.call_later(self._grace + PARTING, self._abort)
        try:
            await super().shutdown(sockets)
        finally:
            abort.cancel()

    def _abort(self) -> None:
        """Close the connections whose clients do not read what was sent."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Connection(HttpToolsProtocol):
    """A connection that is closed if a request's head is too large, or takes too long.

    Also if too many requests are sent without waiting for responses: uvicorn keeps all of them. It
    has no bounds of its own for any of these.
    """

    _head_size = 0
    _in_head = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if self._in_head:
            self._head_size = self._head_size + len(data) if was_in_head else 0
            if self._head_size > HEAD_SIZE:
                self._stop_timer()
                self.send_400_response("The head of the request is too large.")
            elif self._timer is None:
                self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        if len(self.pipeline) == PIPELINED:
            self.transport.abort()
            raise ConnectionAbortedError("too many requests wait")  # ends the parser
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _WebSocket(WSProtocol):
    """A websocket that stays open at a stop until the application closes it."""

    def shutdown(self) -> None:
        pass
